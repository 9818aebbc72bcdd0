"""Pages and their parts from templates; the same template draws a part first and at each live update.

Prevents text of a label, a category or an Azure message from becoming markup (everything is escaped), and
a page that works only with scripts: htmx asks for parts, a browser without it for whole pages.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from labelbridge.console import deps
from labelbridge.console.auth.people import Person, Role
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectKind, Studio

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "static"
SCRIPTS = ("vendor/htmx.js", "console.js")
"""The first is installed by `make setup` from `deploy/console/package-lock.json`; without them pages do not update live."""
KINDS = {
    ProjectKind.SINGLE_LABEL: "Single-label classification",
    ProjectKind.MULTI_LABEL: "Multi-label classification",
    ProjectKind.ENTITIES: "Entity recognition",
}


def page(request: Request, template: str, status: int = 200, /, **context: Any) -> Response:
    """A whole page for whoever is signed in."""
    return HTMLResponse(_environment().get_template(template).render(**_common(request), **context), status)


def part(request: Request, template: str, **context: Any) -> str:
    """A part of a page, for a live update or an answer to htmx."""
    return _environment().get_template(template).render(**_common(request), **context).strip()


def partials(parts: Mapping[str, str]) -> str:
    """Parts as one message that htmx puts in place: element id -> what is in it.

    Morphing keeps focus, selection and open details where they are.
    """
    return "".join(
        f'<hx-partial hx-target="#{name}" hx-swap="innerMorph">{text}</hx-partial>'
        for name, text in parts.items()
    )


def wants_part(request: Request, target: str) -> bool:
    """True if htmx asks only for the element with this id."""
    headers = request.headers
    return headers.get("hx-request") == "true" and f"#{target}" in headers.get("hx-target", "")


def error_page(request: Request, error: LabelbridgeError, status: int) -> Response:
    """An error as a page, or as a notice for htmx; both with code and remedy, as the command line has them."""
    if request.headers.get("hx-request"):
        return HTMLResponse(
            part(request, "parts/error.html", error=error.info, title=error.kind.title), status
        )
    return page(request, "error.html", status, error=error.info, title=error.kind.title)


def _common(request: Request) -> dict[str, Any]:
    person: Person | None = getattr(request.state, "person", None)
    return {
        "person": person,
        "csrf_token": deps.csrf_token(request),
        "role": Role,
        "path": request.url.path,
    }


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        when=when,
        clock=clock,
        iso=iso,
        short=short,
        number=number,
        percent=percent,
        span=span,
        studio=studio,
        prose=prose,
        mark=mark,
        query_prefix=query_prefix,
    )
    found.globals.update(static=static, scripts=_scripts, kinds=KINDS, kind_choices=_kind_choices)
    return found


def when(value: datetime) -> str:
    """A moment in UTC to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(value: datetime) -> str:
    """The time of day in UTC."""
    return value.astimezone(UTC).strftime("%H:%M:%SZ")


def iso(value: datetime) -> str:
    """The same for programs."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")


def short(snapshot_id: str) -> str:
    """The first characters of a hash: enough for every command that takes one."""
    return snapshot_id[:12]


def number(value: int) -> str:
    """With separators between thousands."""
    return f"{value:,}"


def percent(value: float) -> str:
    """A share of 1 in percent; all and nothing only when that is exact."""
    rounded = round(value * 100)
    if rounded == 100 and value < 1:
        rounded = 99
    if rounded == 0 and value > 0:
        rounded = 1
    return f"{rounded} %"


def span(value: timedelta) -> str:
    """A length of time in the two units that matter."""
    seconds = max(0, round(value.total_seconds()))
    for size, unit, smaller, small_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{seconds} s"


def studio(value: str) -> str:
    """A studio by the name that people know."""
    return Studio(value).display_name if value in list(Studio) else value


def mark(text: str) -> str:
    """A name for a text: another text, another name. An element of that name is replaced, not morphed."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def prose(text: str) -> Markup:
    """A sentence in which `commands` stand between backticks; everything else is only text."""
    parts = (escape(part) for part in text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


def query_prefix(pairs: Sequence[tuple[str, str]]) -> str:
    """A query that another parameter can follow."""
    return f"{urlencode(pairs)}&" if pairs else ""


def static(name: str) -> str:
    """Address of a file of ours; it changes with the content, so that browsers may keep it."""
    return f"/static/{name}?v={_digest(name)}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def _scripts() -> list[str]:
    return [static(name) for name in SCRIPTS if (STATIC / name).exists()]


def _kind_choices() -> list[tuple[str, str]]:
    return [(kind.value, words) for kind, words in KINDS.items()]
