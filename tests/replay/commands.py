"""The command sequence of each workflow, read from its source.

Prevents a change of what a workflow does, in which order, that nobody saw: a method moved by a line breaks
every run that is on its way. Only the order of commands and what can lead around them is read: activities,
timers, children, signals to others, search attributes and memo, continue-as-new, patches; branches, loops,
and what leaves them. Names of variables, texts, conditions and comments are not: what a condition decides
is for the saved histories to show. Standard library only.
"""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from labelbridge import names

SOURCES = Path(__file__).parents[2] / "workflows"
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Node: TypeAlias = "str | tuple[str, list[Node]]"
"""A command, or a block of such."""
_PREFIXES = ("execute_", "start_", "upsert_")
_COMMANDS = ("sleep", "continue_as_new", "patched", "deprecate_patch")
_TIMERS = {("asyncio", "sleep"), ("asyncio", "wait_for"), ("workflow", "sleep")}
_JUMPS = {ast.Return: "return", ast.Raise: "raise", ast.Break: "break", ast.Continue: "continue"}
_ENTRIES = ("run", "signal", "update")


def sources() -> dict[str, str]:
    """The modules of the workflows' room, by name."""
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(SOURCES.glob("*.py"))}


def commands(modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Lines for each workflow class, and for each part that they share (`OperationWorkflow.insist`).

    Methods of a workflow's own class are read where they are used. Those of the modules whose names begin
    with an underscore are shared: `insist announce` stands where one is used, and what it does stands once.
    """
    room = _Room()
    for module, text in modules.items():
        room.add(ast.parse(text), shared=module.startswith("_"))
    found: dict[str, list[str]] = {}
    for name in room.workflows:
        lines: list[str] = []
        for label, function in room.entries(name):
            lines += [label.removesuffix(" run"), *_lines(_Reader(room, name).function(function, {}), 1)]
        found[name] = lines
    return found | {name: _lines(body, 0) for name, body in sorted(room.parts.items()) if _has_command(body)}


def _lines(nodes: Iterable[Node], depth: int) -> list[str]:
    found = []
    for node in nodes:
        if isinstance(node, str):
            found.append("  " * depth + node)
        else:
            found += ["  " * depth + node[0], *_lines(node[1], depth + 1)]
    return found


def _has_command(nodes: Iterable[Node]) -> bool:
    return any(_is_command(node) if isinstance(node, str) else _has_command(node[1]) for node in nodes)


def _is_command(line: str) -> bool:
    return line not in _JUMPS.values() and not line.startswith("again ")


@dataclass
class _Room:
    """Every class and function of the room."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    workflows: list[str] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    """Names of the classes that workflows only inherit from."""
    parts: dict[str, list[Node]] = field(default_factory=dict)
    """What each method of those commands."""

    def add(self, module: ast.Module, *, shared: bool) -> None:
        for one in module.body:
            if isinstance(one, Function):
                self.functions[one.name] = one
            elif isinstance(one, ast.ClassDef):
                self.classes[one.name] = one
                self.shared |= {one.name} if shared else set()
                if any(_dotted(_called(d)) == "workflow.defn" for d in one.decorator_list):
                    self.workflows.append(one.name)

    def line(self, name: str) -> list[ast.ClassDef]:
        """A class and those that it inherits from, nearest first."""
        if name not in self.classes:
            return []
        one = self.classes[name]
        bases = [_dotted(base) for base in one.bases]
        return [one, *(found for base in bases for found in self.line(base.rpartition(".")[2]))]

    def method(self, name: str, method: str, above: str | None = None) -> tuple[str, Function] | None:
        """Where `method` of a class stands; `above`: beginning after that class, as `super()` does."""
        line = self.line(name)
        if above is not None:
            line = line[[one.name for one in line].index(above) + 1 :]
        for one in line:
            for part in one.body:
                if isinstance(part, Function) and part.name == method:
                    return one.name, part
        return None

    def entries(self, name: str) -> list[tuple[str, Function]]:
        """What the server can call, the main method first."""
        found: dict[str, Function] = {}
        for one in self.line(name):
            for part in one.body:
                for decorator in part.decorator_list if isinstance(part, Function) else ():
                    kind = _dotted(_called(decorator))
                    if kind in {f"workflow.{entry}" for entry in _ENTRIES} and isinstance(part, Function):
                        found.setdefault(f"{kind.removeprefix('workflow.')} {part.name}", part)
        return sorted(found.items(), key=lambda one: (not one[0].startswith("run "), one[0]))


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Subscript):
        return _dotted(node.value)
    return node.id if isinstance(node, ast.Name) else ""


Binding: TypeAlias = dict[str, str]
"""Local name -> the text that it stands for."""


class _Reader:
    """Reads one workflow; calls of its own methods and of the room's functions are read in their place."""

    def __init__(self, room: _Room, workflow: str) -> None:
        self.room = room
        self.workflow = workflow
        self.owners: list[str | None] = []
        self.stack: list[Function] = []
        self.inner: dict[str, Function] = {}

    def function(self, function: Function, binding: Binding, owner: str | None = None) -> list[Node]:
        """What a function commands; nothing at all if it only computes."""
        if function in self.stack:
            return [f"again {function.name}"]
        self.stack.append(function)
        self.owners.append(owner or self._owner_of(function))
        binding = {**_texts(function), **binding}
        found = self._block(function.body, binding, nested=False)
        self.owners.pop()
        self.stack.pop()
        return found if _has_command(found) else []

    def _owner_of(self, function: Function) -> str | None:
        return next((one.name for one in self.room.line(self.workflow) if function in one.body), None)

    # Statements.

    def _block(self, body: Iterable[ast.stmt], binding: Binding, *, nested: bool = True) -> list[Node]:
        found: list[Node] = []
        for one in body:
            found += self._statement(one, binding, nested)
        return found

    def _statement(self, one: ast.stmt, binding: Binding, nested: bool) -> list[Node]:
        if isinstance(one, Function):
            self.inner[one.name] = one
            return []
        found: list[Node] = []
        for name, value in ast.iter_fields(one):
            if isinstance(value, ast.expr):
                found += self._expression(value, binding)
            elif isinstance(value, list):
                found += self._parts(one, name, value, binding, nested)
        jump = _JUMPS.get(type(one))
        return [*found, jump] if jump and (nested or jump != "return") else found

    def _parts(
        self, one: ast.stmt, name: str, values: list[ast.AST], binding: Binding, nested: bool
    ) -> list[Node]:
        """A list in a statement: its expressions, or a block of its own."""
        found: list[Node] = []
        block: list[ast.stmt] = []
        for value in values:
            if isinstance(value, ast.expr):
                found += self._expression(value, binding)
            elif isinstance(value, ast.withitem):
                found += self._expression(value.context_expr, binding)
            elif isinstance(value, ast.ExceptHandler):
                kind = ast.unparse(value.type) if value.type else ""
                found += _block_of(f"except {kind}".strip(), self._block(value.body, binding))
            elif isinstance(value, ast.match_case):
                found += _block_of("case", self._block(value.body, binding))
            elif isinstance(value, ast.stmt):
                block.append(value)
        if isinstance(one, ast.With | ast.AsyncWith):
            return found + self._block(block, binding, nested=nested)
        return found + _block_of(_label(one, name), self._block(block, binding))

    # Expressions.

    def _expression(self, one: ast.AST, binding: Binding) -> list[Node]:
        if isinstance(one, ast.Call):
            return self._call(one, binding)
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Load) and _dotted(one.value) == "self":
            return self._method(one.attr, None, [], binding)
        if isinstance(one, ast.Name) and one.id in self.inner and isinstance(one.ctx, ast.Load):
            return self.function(self.inner[one.id], binding, self.owners[-1])
        found = [node for part in ast.iter_child_nodes(one) for node in self._expression(part, binding)]
        if isinstance(one, ast.IfExp | ast.BoolOp):
            return _block_of("perhaps", found)
        return _block_of("each", found) if isinstance(one, ast.ListComp | ast.GeneratorExp) else found

    def _call(self, call: ast.Call, binding: Binding) -> list[Node]:
        given: list[Node] = []
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            given += self._expression(argument, binding)
        dotted = _dotted(call.func)
        if (command := self._command(call, dotted, binding)) is not None:
            return [*given, command]
        if isinstance(call.func, ast.Attribute):
            if dotted.startswith("self.") and dotted.count(".") == 1:
                return given + self._method(call.func.attr, None, call.args, binding)
            if isinstance(call.func.value, ast.Call) and _dotted(call.func.value.func) == "super":
                return given + self._method(call.func.attr, self.owners[-1], call.args, binding)
            return self._expression(call.func.value, binding) + given
        if dotted in self.inner:
            return given + self.function(self.inner[dotted], binding, self.owners[-1])
        if dotted in self.room.functions:
            return given + self.function(self.room.functions[dotted], {})
        return given

    def _command(self, call: ast.Call, dotted: str, binding: Binding) -> str | None:
        """The line of a call that makes a command, or None."""
        module, _, what = dotted.rpartition(".")
        if (module, what) in _TIMERS:
            return "timer"
        if what == "signal" and module not in ("workflow", "self"):
            return f"signal {self._text(call.args, binding)}"
        if module != "workflow":
            return None
        if what == "wait_condition":
            return "timer or condition" if any(one.arg == "timeout" for one in call.keywords) else None
        if what in _COMMANDS or what.startswith(_PREFIXES):
            named = what not in ("continue_as_new", "upsert_memo", "upsert_search_attributes")
            return f"{what} {self._text(call.args, binding)}" if named else what
        return None

    def _text(self, arguments: list[ast.expr], binding: Binding) -> str:
        return (_literal(arguments[0], binding) if arguments else None) or "?"

    def _method(
        self, name: str, above: str | None, arguments: list[ast.expr], binding: Binding
    ) -> list[Node]:
        found = self.room.method(self.workflow, name, above)
        if found is None:
            return []
        owner, function = found
        parameters = [one.arg for one in function.args.args[1:]]
        if owner not in self.room.shared:
            given = {p: _literal(a, binding) for p, a in zip(parameters, arguments, strict=False)}
            return self.function(function, {p: text for p, text in given.items() if text}, owner)
        lines = "\n".join(_lines(self._part(owner, function, parameters), 0))
        if not lines:
            return []
        told = [
            _literal(argument, binding) or "?"
            for parameter, argument in zip(parameters, arguments, strict=False)
            if f"<{parameter}>" in lines
        ]
        return [" ".join((name, *told))]

    def _part(self, owner: str, function: Function, parameters: list[str]) -> list[Node]:
        """What a shared method does, with `<name>` where it puts what it is given."""
        place = f"{owner}.{function.name}"
        if place not in self.room.parts:
            self.room.parts[place] = []  # for a part that comes to itself again
            marks = {parameter: f"<{parameter}>" for parameter in parameters}
            self.room.parts[place] = _Reader(self.room, owner).function(function, marks, owner)
        return self.room.parts[place]


def _block_of(label: str, nodes: list[Node]) -> list[Node]:
    return [(label, nodes)] if nodes else []


def _label(one: ast.stmt, name: str) -> str:
    if isinstance(one, ast.While | ast.For | ast.AsyncFor):
        return "loop" if name == "body" else "after the loop"
    if isinstance(one, ast.Try):
        return {"body": "try", "orelse": "else", "finalbody": "finally"}.get(name, name)
    return {"body": "if", "orelse": "else"}.get(name, name)


def _literal(one: ast.expr, binding: Binding) -> str | None:
    """The text of an argument, if the source says it."""
    if isinstance(one, ast.Constant) and isinstance(one.value, str):
        return one.value
    if isinstance(one, ast.Name):
        return binding.get(one.id)
    dotted = _dotted(one)
    if dotted.startswith("names."):
        value = getattr(names, dotted.removeprefix("names."), dotted)
        return value if isinstance(value, str) else dotted
    return dotted if "." in dotted and not dotted.startswith("self.") else None


def _texts(function: Function) -> Binding:
    """Local names that stand for texts: all that a name may be, in the order of the source."""
    found: dict[str, list[str]] = {}
    for one in ast.walk(function):
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            values = [one.value.body, one.value.orelse] if isinstance(one.value, ast.IfExp) else [one.value]
            texts = [text for value in values if (text := _literal(value, {})) is not None]
            if len(texts) == len(values):
                found.setdefault(one.targets[0].id, []).extend(texts)
    return {name: " or ".join(texts) for name, texts in found.items()}
