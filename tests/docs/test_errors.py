"""The catalogue of errors, the code that raises them, and the page that explains them are one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelbridge.errors import CATALOGUE, ExitCode
from tests.docs.errors_page import EXITS, ROOT, described, page

ROOMS = ("labelbridge", "activities", "workflows", "workers")
CATALOGUE_FILE = ROOT / "labelbridge" / "errors.py"
COMPUTED = {
    # Where a code is worked out, and the codes that it can be; a place that is not named here fails the test.
    "labelbridge/_offline.py": {"project_unknown", "not_connected"},
    "labelbridge/lifecycle.py": "the table `TABLE`, whose codes tests/test_lifecycle.py walks through",
    "labelbridge/console/problems.py": "`_CODES`, by HTTP status",
    "labelbridge/errors.py": "`from_info`: a code that is not in the catalogue becomes `unexpected`",
    "workflows/reconcile.py": {"project_unknown", "not_connected"},
    "workers/startup.py": {"registry_unreachable", "temporal_unreachable"},
}


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def _raised(node: ast.expr | None) -> set[str] | None:
    """The codes that the first argument of an error can be; None if it is worked out elsewhere."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        one, other = _raised(node.body), _raised(node.orelse)
        return None if one is None or other is None else one | other
    return None


def _errors(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "LabelbridgeError",
            "errors.LabelbridgeError",
        ):
            yield node


def unknown(tree: ast.Module) -> list[str]:
    """Codes that a module raises and that the catalogue does not have."""
    found = [_raised(call.args[0] if call.args else None) or set() for call in _errors(tree)]
    return sorted(code for codes in found for code in codes if code not in CATALOGUE)


def test_every_code_that_is_raised_stands_in_the_catalogue() -> None:
    assert {str(path): codes for path, tree in _modules() if (codes := unknown(tree))} == {}
    planted = ast.parse("raise LabelbridgeError('forbidden' if x else 'no_such_code')")
    assert unknown(planted) == ["no_such_code"]


def test_a_code_that_is_worked_out_is_worked_out_where_we_know_of_it() -> None:
    places = {
        path.relative_to(ROOT).as_posix()
        for path, tree in _modules()
        for call in _errors(tree)
        if _raised(call.args[0] if call.args else None) is None
    }
    assert places <= COMPUTED.keys()
    for codes in COMPUTED.values():
        assert isinstance(codes, str) or set(codes) <= set(CATALOGUE)


def test_every_code_of_the_catalogue_is_used() -> None:
    texts: set[object] = set()
    for path, tree in _modules():
        if path != CATALOGUE_FILE:
            texts |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert set(CATALOGUE) - texts == set()


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_code_says_what_happened_and_what_to_do(code: str) -> None:
    kind = CATALOGUE[code]
    assert kind.title.endswith(".")
    assert kind.remedy.rstrip("`").endswith(".")
    assert kind.exit_code not in (ExitCode.DONE, ExitCode.FINDINGS, ExitCode.QUARANTINED)
    passing = (ExitCode.UNREACHABLE, ExitCode.STILL_RUNNING)
    assert (kind.exit_code in passing) is not kind.final


def test_the_page_of_error_codes_is_the_one_that_the_code_makes() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == page(), "run `make docs`"


def test_every_code_on_the_page_is_explained() -> None:
    assert set(EXITS) == set(ExitCode)
    for file, name in (
        ("activities/_preflight_codes.py", "FindingCode"),
        ("labelbridge/labels/codes.py", "Code"),
    ):
        found = dict(described(ROOT / file, name))
        assert found
        assert [code for code, meaning in found.items() if not meaning] == []
