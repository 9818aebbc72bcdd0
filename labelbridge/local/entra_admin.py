"""The local Entra's own switches under `/local/entra/`: who can sign in, as what, and into what.

They need no token, like every path under `/local/`: they exist for seeding and for tests.
"""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import entra_store as store
from labelbridge.local.context import context_of
from labelbridge.local.http import parsed_body


class ApplicationRequest(BaseModel):
    """Body of `POST /local/entra/applications`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=120)
    redirect_uris: tuple[str, ...]
    """Exact addresses that a code, or somebody signed out, may be sent to."""


class PersonRequest(BaseModel):
    """Body of `POST /local/entra/people`."""

    model_config = ConfigDict(extra="forbid")
    object_id: str
    display_name: str = Field(min_length=1, max_length=256)
    about: str = ""


class RolesRequest(BaseModel):
    """Body of `POST /local/entra/roles`: all app roles of one principal."""

    model_config = ConfigDict(extra="forbid")
    object_id: str
    roles: tuple[str, ...]


async def add_application(request: Request) -> Response:
    """Register an application by name; once more, it gets other addresses and keeps id and secret."""
    wanted = await parsed_body(request, ApplicationRequest)
    with context_of(request).state.write() as db:
        made = store.register(db, wanted.name, wanted.redirect_uris)
    return JSONResponse({"name": made.name, "client_id": made.client_id, "client_secret": made.secret})


async def add_person(request: Request) -> Response:
    """Offer a principal on the sign-in page."""
    wanted = await parsed_body(request, PersonRequest)
    with context_of(request).state.write() as db:
        store.add_person(db, wanted.object_id, wanted.display_name, wanted.about)
    return JSONResponse(wanted.model_dump())


async def set_roles(request: Request) -> Response:
    """Give a principal exactly these app roles; the next token has them."""
    wanted = await parsed_body(request, RolesRequest)
    with context_of(request).state.write() as db:
        store.set_roles(db, wanted.object_id, wanted.roles)
    return JSONResponse(wanted.model_dump())


def entra_admin_routes() -> list[Route]:
    """Three switches."""
    return [
        Route("/local/entra/applications", add_application, methods=["POST"]),
        Route("/local/entra/people", add_person, methods=["POST"]),
        Route("/local/entra/roles", set_roles, methods=["POST"]),
    ]
