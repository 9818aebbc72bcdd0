"""Which activities each workflow can schedule, read from the workflows' own source.

Prevents a rule that is kept by the name of an activity alone: `set_gate` that was struck in a switch says
nothing about the undo of a connect. From each entry of a workflow (its run, its handlers) every method and
function of `workflows` that is mentioned is followed; the names of activities are the strings in them.
"""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Collection, Iterator
from typing import Any

from temporalio import workflow

import workflows

Function = Callable[..., Any]


def scheduled(activities: Collection[str]) -> set[tuple[str, str]]:
    """(workflow, activity) for each activity that a workflow's code can come to."""
    return {
        (name, activity)
        for name, definition in _definitions().items()
        for activity in _strings(definition) & set(activities)
    }


def _definitions() -> dict[str, type]:
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(workflows.__path__):
        loaded = importlib.import_module(f"workflows.{module.name}")
        for one in vars(loaded).values():
            definition = workflow._Definition.from_class(one) if inspect.isclass(one) else None
            if definition is not None and definition.name and one.__module__ == loaded.__name__:
                found[definition.name] = one
    return found


def _strings(owner: type) -> set[str]:
    seen: set[Function] = set()
    waiting = list(_entries(owner))
    strings: set[str] = set()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            found = _ours(owner, function, node, str(name)) if name else None
            if found is not None:
                waiting.append(found)
    return strings


def _entries(owner: type) -> Iterator[Function]:
    """Its run, its init, and its handlers."""
    for one in vars(workflow._Definition.must_from_class(owner)).values():
        handlers = one.values() if isinstance(one, dict) else [one]
        for handler in handlers:
            function = getattr(handler, "fn", handler)
            if inspect.isfunction(function):
                yield function
    init = inspect.getattr_static(owner, "__init__")
    if inspect.isfunction(init):
        yield init


def _ours(owner: type, function: Function, node: ast.AST, name: str) -> Function | None:
    """The method or function that a node of `function` mentions, if it is one of `workflows`."""
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Call):  # super().name: the next one, and the one that overrides it, too
            found = [vars(base)[name] for base in owner.__mro__[1:] if name in vars(base)][:1]
            target: Any = found[0] if found else None
        else:
            target = inspect.getattr_static(owner, name, None)
    else:
        target = inspect.unwrap(function).__globals__.get(name)
    target = getattr(target, "fget", None) or getattr(target, "fn", None) or target
    target = inspect.unwrap(target) if callable(target) else target
    ours = inspect.isfunction(target) and target.__module__.partition(".")[0] == "workflows"
    return target if ours else None
