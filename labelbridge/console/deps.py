"""What routes ask for: the person with the role they need, and the client that acts as that person.

Prevents a route that acts as the console itself: `bridge` takes the person, so the preflight checks the
person's own roles in Azure and the history names them.
"""

from typing import Annotated

from fastapi import Depends, Request

from labelbridge.client import Labelbridge
from labelbridge.console.auth.people import Person, Role
from labelbridge.console.connection import TemporalConnection
from labelbridge.console.sessions import Session
from labelbridge.errors import LabelbridgeError
from labelbridge.settings import Settings


def settings_of(request: Request) -> Settings:
    """The application's settings."""
    found: Settings = request.app.state.settings
    return found


def someone(request: Request) -> Person:
    """Whoever is signed in, with or without a role; raises `unauthenticated`."""
    person: Person | None = getattr(request.state, "person", None)
    if person is None:
        raise LabelbridgeError("unauthenticated")
    return person


def reader(request: Request) -> Person:
    """Somebody who may look; raises `unauthenticated` or `role_missing`."""
    return _with(request, Role.READER)


def operator(request: Request) -> Person:
    """Somebody who may switch, sync, train, cancel and reconcile; errors as `reader`."""
    return _with(request, Role.OPERATOR)


def owner(request: Request) -> Person:
    """Somebody who may also connect, disconnect and import; errors as `reader`."""
    return _with(request, Role.OWNER)


async def bridge(request: Request, person: Person) -> Labelbridge:
    """The client, acting as this person; raises `temporal_unreachable`."""
    connection: TemporalConnection = request.app.state.temporal
    return Labelbridge(await connection.client(), settings_of(request), actor=person.actor)


def csrf_token(request: Request) -> str:
    """What every form sends back as `csrf_token`, and htmx as `X-CSRF-Token`; empty without a session."""
    session: Session | None = getattr(request.state, "session", None)
    return session.csrf if session else ""


async def reading(request: Request, person: Annotated[Person, Depends(reader)]) -> Labelbridge:
    """The client for a route that reads."""
    return await bridge(request, person)


async def operating(request: Request, person: Annotated[Person, Depends(operator)]) -> Labelbridge:
    """The client for a route that needs an operator."""
    return await bridge(request, person)


async def owning(request: Request, person: Annotated[Person, Depends(owner)]) -> Labelbridge:
    """The client for a route that needs an owner."""
    return await bridge(request, person)


Reading = Annotated[Labelbridge, Depends(reading)]
Operating = Annotated[Labelbridge, Depends(operating)]
Owning = Annotated[Labelbridge, Depends(owning)]


def _with(request: Request, role: Role) -> Person:
    person = someone(request)
    person.need(role)
    return person
