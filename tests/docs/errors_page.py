"""Writes `docs/errors.md` from the code: `python -m tests.docs.errors_page docs/errors.md`.

Prevents a manual that explains the errors of another version: the page is made of the same table that the errors
are made of, and a test holds that the committed page is that one.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from labelbridge.errors import CATALOGUE, ExitCode, Kind

ROOT = Path(__file__).resolve().parents[2]
EXITS = {
    ExitCode.DONE: "done",
    ExitCode.UNEXPECTED: "a bug, or something nobody foresaw",
    ExitCode.USAGE: "the command line, the settings or the input are wrong; nothing was done",
    ExitCode.REFUSED: "refused; nothing was done",
    ExitCode.ROLLED_BACK: "undone: the project is as it was before",
    ExitCode.CANCELLED: "cancelled and undone",
    ExitCode.STILL_RUNNING: "not over yet; only the waiting ended",
    ExitCode.UNREACHABLE: "a service could not be reached",
    ExitCode.FINDINGS: "`doctor`, `reconcile` or a dry run found something",
    ExitCode.QUARANTINED: "done, but some rows are in quarantine",
}
HEAD = """# Error codes

Made of `labelbridge/errors.py` and its like by `make docs`; do not edit. A code is stable: it stands in `--output json`,
in the API's problem documents, in events and in the history. *Retried* says whether Labelbridge, and a caller, may
repeat the same request without anybody having mended anything. An operation that met a retried error before its
commit repeats the step for `step_patience`, then is undone; after its commit it goes on for ever.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, *_errors(), *_exits()]
    for title, text, file, name in (
        (
            "Findings of the preflight",
            "What `doctor`, a dry run and an operation's first step report. Each names its own command that mends it.",
            "activities/_preflight_codes.py",
            "FindingCode",
        ),
        (
            "Rows in quarantine",
            "Why a row of labels could not be used. The quarantine file has each with its line and its text.",
            "labelbridge/labels/codes.py",
            "Code",
        ),
    ):
        parts += [f"## {title}\n", f"{text}\n", "| code | meaning |", "|---|---|"]
        parts += [f"| `{code}` | {meaning} |" for code, meaning in described(ROOT / file, name)]
        parts.append("")
    return "\n".join(parts)


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    yield "| code | what happened | what to do | exit | retried |"
    yield "|---|---|---|---|---|"
    for code, kind in sorted(CATALOGUE.items()):
        yield _row(code, kind)
    yield ""


def _row(code: str, kind: Kind) -> str:
    retried = "no" if kind.final else "yes"
    anchor = f'<a id="{code}"></a>`{code}`'
    return f"| {anchor} | {_cell(kind.title)} | {_cell(kind.remedy)} | {int(kind.exit_code)} | {retried} |"


def _exits() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| exit | meaning |"
    yield "|---|---|"
    for code in ExitCode:
        yield f"| {int(code)} | {EXITS[code]} |"
    yield ""


def described(file: Path, name: str) -> Iterator[tuple[str, str]]:
    """The values of a class of constants in a file, each with the docstring that follows it."""
    tree = ast.parse(file.read_text())
    (found,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        text = (
            after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        )
        yield str(node.value.value), _cell(" ".join(str(text).split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
