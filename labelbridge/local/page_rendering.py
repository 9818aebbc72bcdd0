"""Pages of the local Azure: Jinja2 with escaping on, and headers that let nothing in but our own files.

Prevents a document that runs: what people label is text from anywhere, and is shown by pages that may
load scripts and styles from this server only and may not be framed.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

PAGES = Path(__file__).with_name("pages")
ASSETS = "/studio/assets"


def page(template: str, *, status: int = 200, form_action: str = "", **values: Any) -> HTMLResponse:
    """A page from a template of `pages/`.

    Args:
        template: name of the file.
        status: HTTP status.
        form_action: one more origin that the page's form may lead to: browsers hold redirects to it, too.
        values: what the template needs.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": f"'self' {form_action}".strip(),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    content = _environment().get_template(template).render(assets=ASSETS, **values)
    return HTMLResponse(content, status_code=status, headers=headers)


def assets_route() -> Mount:
    """The pages' style and script."""
    return Mount(ASSETS, StaticFiles(directory=PAGES / "assets"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
