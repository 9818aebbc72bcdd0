"""The HTTP API, `/api/v1`: the same acts and questions as the command line, for programs."""

from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from labelbridge.console.api import acts, fleet, operations, projects, snapshots
from labelbridge.console.api.context import PREFIX
from labelbridge.console.auth.people import Person
from labelbridge.console.deps import someone
from labelbridge.console.problems import Problem, responses

DESCRIPTION = """\
Moves the right to label a text project between Azure AI Language Studio and Azure Machine Learning.

**Sign-in.** A bearer token of Entra ID for this application; its app role (`Labelbridge.Reader`, `.Operator` or
`.Owner`) says what it may do. Azure's own roles are checked as well, by the preflight of each operation.

**Acts** answer `202` with `Operation-Location` and `Retry-After`. `Idempotency-Key` makes it safe to repeat them.

**Errors** are problem documents (RFC 9457). Switch on `code`; `remedy` says what to do. They are the codes of the
command line.

**Lists** give `next`, the cursor of the next page, until there is none.
"""

router = APIRouter(prefix=PREFIX)
router.include_router(projects.router)
router.include_router(operations.router)
router.include_router(snapshots.router)
router.include_router(acts.router)
router.include_router(acts.uploads)
router.include_router(fleet.router)


@router.get("/me", tags=["projects"], responses=responses())
async def me(request: Request) -> Person:
    """Who the caller is here, and their roles."""
    return someone(request)


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with our problems, msgspec's structs and the way to sign in."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, structs = msgspec.json.schema_components(
            snapshots.STRUCTS, ref_template="#/components/schemas/{name}"
        )
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        nested = problem.pop("$defs", {})
        components = made.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **structs, **nested, "Problem": problem}
        for name in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(name, None)
        bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        components["securitySchemes"] = {"entra": bearer}
        made["security"] = [{"entra": []}]
        app.openapi_schema = made
    return app.openapi_schema
