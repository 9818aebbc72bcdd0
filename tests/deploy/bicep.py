"""Reads Bicep files by two parsers; neither is Bicep's own compiler, which no package registry has.

pycep gives declarations, tree-sitter's grammar gives the names that are used: enough to find a syntax error,
a name that nothing declares, and a module that is called with the wrong parameters.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.tools import DEPLOY, module

HERE = DEPLOY / "bicep"
FILES = sorted(HERE.rglob("*.bicep"))
FUNCTIONS = {
    "deployment",
    "empty",
    "guid",
    "last",
    "resourceGroup",
    "split",
    "subscription",
    "subscriptionResourceId",
    "tenant",
    "union",
}
"""Functions of the language that the templates use."""


def declarations(path: Path) -> dict[str, dict[str, Any]]:
    """Kind (`parameters`, `variables`, `resources`, `modules`, `outputs`) -> name -> what is declared."""
    found: dict[str, dict[str, Any]] = module("pycep").BicepParser().parse(file_path=path)
    return found


def errors(path: Path) -> list[str]:
    """Where the second grammar finds an error, `line: text`."""
    return [
        f"{node.start_point.row + 1}: {node.text.decode()}"
        for node in _nodes(_root(path))
        if node.type == "ERROR" or node.is_missing
    ]


def names_used(path: Path) -> set[str]:
    """Identifiers that stand for a value: not keys of objects, not members, not declarations, not types."""
    return {n.text.decode() for n in _nodes(_root(path)) if n.type == "identifier" and _is_value(n)}


def functions_used(path: Path) -> set[str]:
    """Names of called functions."""
    return {
        n.children[0].text.decode()
        for n in _nodes(_root(path))
        if n.type == "call_expression" and n.parent.type != "decorator"
    }


def _is_value(node: Any) -> bool:
    parent = node.parent
    if parent.type == "call_expression" and parent.children[0] == node:
        return False
    if parent.type in {"object_property", "for_loop_parameters"} or parent.type.endswith("_declaration"):
        # A value after `:` or `=` counts; the name before it does not.
        return bool(parent.children[0] != node and node.prev_sibling.type in {":", "="})
    return True


def loop_names(path: Path) -> set[str]:
    """Names that a `for` declares."""
    return {
        n.text.decode()
        for n in _nodes(_root(path))
        if n.type == "identifier" and n.prev_sibling is not None and n.prev_sibling.type == "for"
    }


def _root(path: Path) -> Any:
    tree_sitter, grammar = module("tree_sitter"), module("tree_sitter_bicep")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    return parser.parse(path.read_bytes()).root_node


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from _nodes(child)
