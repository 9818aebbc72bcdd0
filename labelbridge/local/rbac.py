"""Role assignments: who may do what, from when, until when.

Prevents the failure of a product that believes a role the moment it was granted (or gone the moment
it was removed): both take effect `role_propagation` seconds late, while the list shows them at once,
as ARM's does.
"""

import sqlite3
import uuid
from dataclasses import dataclass
from typing import Literal, get_args

from labelbridge.local.azure_error import LANGUAGE_PREFIX, AzureError
from labelbridge.local.clock import Clock
from labelbridge.local.state import State
from labelbridge.local.tokens import Principal

Permission = Literal[
    "arm.read",
    "account.write",
    "workspace.read",
    "workspace.write",
    "data.read",
    "data.write",
    "labeling.read",
    "labeling.write",
    "labeling.export",
    "labeling.label",
    "language.read",
    "language.write",
    "language.delete",
    "language.deploy",
    "blob.read",
    "blob.write",
    "roles.read",
    "roles.write",
    "events.send",
    "secrets.read",
    "secrets.write",
]
"""What a request needs. `data` is datastores and data assets; `arm.read` any management read."""

ROLES: dict[str, str] = {
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
    "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815": "AzureML Compute Operator",
    "c6decf44-fd0a-444c-a844-d653c394e7ab": "Data Labeling - Labeler",
    "f07febfe-79bc-46b1-8b37-790e26e6e498": "Cognitive Services Language Owner",
    "f2310ca1-dc64-4889-bb49-c8e0fa3d47a8": "Cognitive Services Language Writer",
    "7628b7b8-a8b2-4cdc-b46f-e9b35248918e": "Cognitive Services Language Reader",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "d5a91429-5739-47e2-a06b-3470a27159e7": "EventGrid Data Sender",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
}
"""Built-in role definition GUID -> name (Azure's published list of built-in roles)."""
ROLE_IDS = {name: guid for guid, name in ROLES.items()}

_READ: frozenset[Permission] = frozenset(
    {"arm.read", "workspace.read", "data.read", "labeling.read", "roles.read"}
)
_MANAGE: frozenset[Permission] = _READ | {
    "account.write",
    "workspace.write",
    "data.write",
    "labeling.write",
    "labeling.export",
    "labeling.label",
}
_LANGUAGE_READ: frozenset[Permission] = frozenset({"language.read", "arm.read", "roles.read"})
GRANTS: dict[str, frozenset[Permission]] = {
    "Owner": _MANAGE | {"roles.write"},
    "Contributor": _MANAGE,
    "Reader": _READ,
    "User Access Administrator": _READ | {"roles.write"},
    "Role Based Access Control Administrator": _READ | {"roles.write"},
    "AzureML Data Scientist": frozenset(
        {
            "arm.read",
            "workspace.read",
            "data.read",
            "data.write",
            "labeling.read",
            "labeling.write",
            "labeling.export",
            "labeling.label",
        }
    ),
    "AzureML Compute Operator": frozenset({"workspace.read"}),
    "Data Labeling - Labeler": frozenset({"workspace.read", "labeling.read", "labeling.label"}),
    "Cognitive Services Language Reader": _LANGUAGE_READ,
    "Cognitive Services Language Writer": _LANGUAGE_READ | {"language.write"},
    "Cognitive Services Language Owner": _LANGUAGE_READ
    | {"language.write", "language.delete", "language.deploy"},
    "Storage Blob Data Contributor": frozenset({"blob.read", "blob.write"}),
    "Storage Blob Data Reader": frozenset({"blob.read"}),
    "EventGrid Data Sender": frozenset({"events.send"}),
    "Key Vault Secrets User": frozenset({"secrets.read"}),
    "Key Vault Secrets Officer": frozenset({"secrets.read", "secrets.write"}),
}
"""Our reduction of the built-in roles' actions to what the local Azure knows. As in Azure, Owner and
Contributor hold no data actions: neither Language authoring by token nor blob data."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS role_assignments (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    principal TEXT NOT NULL,
    principal_type TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    effective_at REAL NOT NULL,
    removed_at REAL,
    ends_at REAL
);
CREATE INDEX IF NOT EXISTS role_assignments_principal ON role_assignments (principal);
"""


@dataclass(frozen=True)
class Assignment:
    """One role assignment as ARM lists it. `name` is its GUID, `role` the definition's GUID."""

    name: str
    scope: str
    principal: str
    principal_type: str
    role: str
    created_at: float
    created_by: str


def normal_scope(scope: str) -> str:
    """`/subscriptions/...` with one leading slash and none at the end; `/` is the root."""
    return "/" + scope.strip("/")


def scope_contains(outer: str, inner: str) -> bool:
    """True if a role at `outer` is inherited at `inner`: a prefix by whole segments, any case."""
    upper = [segment.casefold() for segment in outer.split("/") if segment]
    lower = [segment.casefold() for segment in inner.split("/") if segment]
    return lower[: len(upper)] == upper


class Rbac:
    """The role assignments of the local tenant."""

    def __init__(self, state: State, clock: Clock, propagation: float) -> None:
        """`propagation` is in seconds and holds for grants and for removals."""
        self._state = state
        self._clock = clock
        self.propagation = propagation

    def allows(self, principal_id: str, scope: str, permission: Permission) -> bool:
        """True if an effective role of the principal at or above `scope` grants the permission."""
        now = self._clock.now()
        with self._state.read() as db:
            rows = db.execute(
                "SELECT scope, role FROM role_assignments WHERE principal = ? AND effective_at <= ?"
                " AND (ends_at IS NULL OR ends_at > ?)",
                (principal_id.lower(), now, now),
            ).fetchall()
        return any(
            permission in GRANTS[ROLES[row["role"]]] and scope_contains(row["scope"], scope) for row in rows
        )

    def require(
        self, principal: Principal, scope: str, permission: Permission, *, path: str = "/", action: str = ""
    ) -> None:
        """Refuse what `allows` does not allow.

        Args:
            principal: who asks.
            scope: ARM id of the resource.
            permission: what is needed.
            path: path of the request; it decides the error's code (Language: `Forbidden`).
            action: Azure's name of the operation, for the message; the permission if empty.

        Raises:
            AzureError: 403.
        """
        assert permission in get_args(Permission)
        if self.allows(principal.object_id, scope, permission):
            return
        if path.startswith(LANGUAGE_PREFIX):
            raise AzureError(
                403, "Forbidden", f"The caller has no role that allows '{action or permission}'."
            )
        raise AzureError(
            403,
            "AuthorizationFailed",
            f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have"
            f" authorization to perform action '{action or permission}' over scope '{scope}' or the scope is"
            " invalid. If access was recently granted, please refresh your credentials.",
        )

    def assignments(
        self, *, scope: str, principal: str | None = None, above_only: bool = False
    ) -> list[Assignment]:
        """Assignments at, above and (unless `above_only`) below `scope`, also those not effective yet."""
        with self._state.read() as db:
            rows = db.execute(
                "SELECT * FROM role_assignments WHERE removed_at IS NULL ORDER BY row"
            ).fetchall()
        found = [_assignment(row) for row in rows]
        return [
            one
            for one in found
            if (principal is None or one.principal == principal.lower())
            and (scope_contains(one.scope, scope) or (not above_only and scope_contains(scope, one.scope)))
        ]

    def get(self, scope: str, name: str) -> Assignment | None:
        """The assignment with this GUID made at exactly this scope."""
        return next((one for one in self._named(name) if _same(one.scope, scope)), None)

    def create(
        self,
        *,
        scope: str,
        name: str,
        principal: str,
        role: str,
        principal_type: str = "ServicePrincipal",
        by: str = "",
        at_once: bool = False,
    ) -> Assignment:
        """Grant a role; committed when this returns, effective after the propagation time.

        Raises:
            AzureError: 400 for an unknown role or a bad GUID, 409 for an assignment that exists
                (`RoleAssignmentExists`) or whose GUID means another (`RoleAssignmentUpdateNotPermitted`).
        """
        role, principal, name = role.lower(), principal.lower(), _guid(name)
        if role not in ROLES:
            raise AzureError(
                400,
                "RoleDefinitionDoesNotExist",
                f"The specified role definition with ID '{role}' does not exist.",
            )
        scope = normal_scope(scope)
        with self._state.write() as db:
            self._refuse_existing(db, scope, name, principal, role)
            now = self._clock.now()
            effective = now if at_once else now + self.propagation
            db.execute(
                "INSERT INTO role_assignments (name, scope, principal, principal_type, role, created_at,"
                " created_by, effective_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, scope, principal, principal_type, role, now, by, effective),
            )
        return Assignment(name, scope, principal, principal_type, role, now, by)

    def delete(self, scope: str, name: str) -> Assignment | None:
        """Remove an assignment; it keeps its effect for the propagation time. None if there is none."""
        found = self.get(scope, name)
        if found is not None:
            now = self._clock.now()
            with self._state.write() as db:
                db.execute(
                    "UPDATE role_assignments SET removed_at = ?, ends_at = ?"
                    " WHERE name = ? AND scope = ? AND removed_at IS NULL",
                    (now, now + self.propagation, found.name, found.scope),
                )
        return found

    def _named(self, name: str) -> list[Assignment]:
        with self._state.read() as db:
            rows = db.execute(
                "SELECT * FROM role_assignments WHERE name = ? AND removed_at IS NULL", (name.lower(),)
            ).fetchall()
        return [_assignment(row) for row in rows]

    @staticmethod
    def _refuse_existing(db: sqlite3.Connection, scope: str, name: str, principal: str, role: str) -> None:
        rows = db.execute(
            "SELECT name, scope, principal, role FROM role_assignments WHERE removed_at IS NULL"
            " AND (name = ? OR (principal = ? AND role = ?))",
            (name, principal, role),
        ).fetchall()
        for row in rows:
            same_triple = row["principal"] == principal and row["role"] == role and _same(row["scope"], scope)
            if same_triple:
                raise AzureError(
                    409,
                    "RoleAssignmentExists",
                    f"The role assignment already exists. The ID of the existing role assignment is {row['name']}.",
                )
            if row["name"] == name and _same(row["scope"], scope):
                raise AzureError(
                    409,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                )


def _same(a: str, b: str) -> bool:
    return normal_scope(a).casefold() == normal_scope(b).casefold()


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise AzureError(
            400,
            "InvalidRoleAssignmentId",
            f"The role assignment ID '{text}' is not valid: it must be a GUID.",
        ) from error


def _assignment(row: sqlite3.Row) -> Assignment:
    return Assignment(
        row["name"],
        row["scope"],
        row["principal"],
        row["principal_type"],
        row["role"],
        row["created_at"],
        row["created_by"],
    )
