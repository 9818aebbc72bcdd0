"""Who asks, and what they may: app roles of Entra read as three roles, each of which holds the one below.

Prevents a second list of permissions: what a role allows is said once, at the route that needs it, and
what a person may do in Azure itself is still checked by the preflight, by their object id.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from labelbridge.errors import LabelbridgeError
from labelbridge.model import Actor, Model


class Role(StrEnum):
    """What somebody may do here; each role may do what the one before it may."""

    READER = "reader"
    """Look."""
    OPERATOR = "operator"
    """Switch, sync, train, cancel, reconcile."""
    OWNER = "owner"
    """Connect, disconnect, import."""

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Role).index(self)


APP_ROLES: Mapping[str, Role] = {
    "Labelbridge.Reader": Role.READER,
    "Labelbridge.Operator": Role.OPERATOR,
    "Labelbridge.Owner": Role.OWNER,
}
"""Values of the app roles in the app registration, as Entra writes them into the `roles` claim."""


class Person(Model):
    """Somebody who is signed in, or a program that brought a token."""

    object_id: str = Field(min_length=1, max_length=200)
    name: str = ""
    roles: frozenset[Role] = frozenset()

    @property
    def actor(self) -> Actor:
        """The person as operations know them."""
        return Actor(object_id=self.object_id, name=self.name)

    def may(self, role: Role) -> bool:
        """True if one of their roles is `role` or above it."""
        return any(own.rank >= role.rank for own in self.roles)

    def need(self, role: Role) -> None:
        """Raise `role_missing` unless they may."""
        if not self.may(role):
            own = max(self.roles, key=lambda r: r.rank, default=None)
            has = (
                f"{self.name or self.object_id} is {own}"
                if own
                else f"{self.name or self.object_id} has none"
            )
            app_role = next(name for name, value in APP_ROLES.items() if value is role)
            raise LabelbridgeError(
                "role_missing",
                f"This needs the role {role} (app role {app_role}); {has}.",
                data={"role": role},
            )


def person_of(claims: Mapping[str, Any]) -> Person:
    """The person that checked claims of Entra speak of.

    `oid` is the object id, which Entra puts into every token (with the `profile` scope for a sign-in);
    a program's token has no name, so it is shown by its application id.

    Raises:
        LabelbridgeError: `unauthenticated` if the claims name nobody.
    """
    object_id = claims.get("oid")
    if not isinstance(object_id, str) or not 0 < len(object_id) <= 200:
        raise LabelbridgeError("unauthenticated", "The token names no object id (`oid`).")
    given = claims.get("roles")
    roles = (
        frozenset(APP_ROLES[r] for r in given if r in APP_ROLES) if isinstance(given, list) else frozenset()
    )
    names = (claims.get(claim) for claim in ("preferred_username", "name", "app_displayname", "azp", "appid"))
    name = next((n for n in names if isinstance(n, str) and n), "")
    return Person(object_id=object_id, name=name[:200], roles=roles)
