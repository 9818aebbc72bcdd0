"""Checks of role assignments: the caller's, the worker's, and the two services' identities.

Prevents an operation that starts and then stands still half-way because a role is missing. Which
roles let somebody switch is not published; the accepted sets are settings.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from activities import _preflight_commands as commands
from activities._preflight_codes import FindingCode
from activities._preflight_facts import Facts, error, fine, warning
from labelbridge.azure import roles
from labelbridge.model import Finding, TrainRequest, arm_name

_BLOB_WRITERS = (roles.STORAGE_BLOB_DATA_CONTRIBUTOR, roles.STORAGE_BLOB_DATA_OWNER)
_PROPAGATION = "A new assignment may need up to 30 minutes to work."


@dataclass(frozen=True)
class _Need:
    """Somebody needs one of some roles somewhere. `principals` are all identities that would do."""

    code: FindingCode
    who: str
    principals: tuple[str, ...]
    principal_type: str
    scope: str
    accepted: tuple[str, ...]
    grant: str


async def caller_language(facts: Facts) -> list[Finding]:
    """The caller has a role on the Language resource: a deployment takes Owner."""
    deploys = bool(getattr(facts.look.request, "deployment", None))
    azure = facts.settings.azure
    accepted = azure.language_deploy_roles if deploys else azure.language_roles
    return await _caller(facts, FindingCode.CALLER_LANGUAGE_ROLE, facts.resource, accepted)


async def caller_workspace(facts: Facts) -> list[Finding]:
    """The caller has a role on the workspace; training on Language's own labels takes none there."""
    request = facts.look.request
    if isinstance(request, TrainRequest) and request.labels == "as-is":
        return []
    if (workspace := await facts.workspace_id()) is None:
        return []
    accepted = facts.settings.azure.labeling_roles
    return await _caller(facts, FindingCode.CALLER_WORKSPACE_ROLE, workspace, accepted)


async def worker_language(facts: Facts) -> list[Finding]:
    """The worker has a role on the Language resource; what may delete or deploy takes Owner."""
    azure = facts.settings.azure
    accepted = azure.language_deploy_roles if facts.needs_language_owner else azure.language_roles
    return await _worker(facts, FindingCode.WORKER_LANGUAGE_ROLE, facts.resource, accepted)


async def worker_workspace(facts: Facts) -> list[Finding]:
    """The worker has a role on the workspace."""
    if (workspace := await facts.workspace_id()) is None:
        return []
    accepted = facts.settings.azure.labeling_roles
    return await _worker(facts, FindingCode.WORKER_WORKSPACE_ROLE, workspace, accepted)


async def worker_storage(facts: Facts) -> list[Finding]:
    """The worker, who signs in to Language, writes blobs: Language asks for the role on the account."""
    if (storage := await facts.storage()) is None:
        return []
    return await _worker(facts, FindingCode.WORKER_STORAGE_ROLE, storage, _BLOB_WRITERS)


async def language_storage(facts: Facts) -> list[Finding]:
    """The Language resource's identity writes blobs."""
    account = await facts.account()
    if (storage := await facts.storage()) is None:
        return []
    code = FindingCode.LANGUAGE_STORAGE_ROLE
    if not account.principal_ids:
        command = commands.assign_identity(facts.resource)
        return [error(code, "The Language resource has no identity to give a role to.", command)]
    who = f"The identity of the Language resource {arm_name(facts.resource)}"
    need = _Need(
        code, who, account.principal_ids, "ServicePrincipal", storage, _BLOB_WRITERS, _BLOB_WRITERS[0]
    )
    return [await _look(facts, need)]


async def workspace_storage(facts: Facts) -> list[Finding]:
    """The workspace's identity writes blobs; with Reader alone it is warned of.

    A role on the container is enough. A workspace may have several identities: one that holds the
    role will do.
    """
    workspace, storage, place = await asyncio.gather(facts.workspace(), facts.storage(), facts.place())
    if workspace is None or storage is None:
        return []
    code = FindingCode.WORKSPACE_STORAGE_ROLE
    if not workspace.principal_ids:
        return [error(code, f"The workspace {workspace.name} has no identity to give a role to.")]
    scope = f"{storage}/blobServices/default/containers/{place[1]}" if place else storage
    who = f"The identity of the workspace {workspace.name}"
    need = _Need(
        code, who, workspace.principal_ids, "ServicePrincipal", scope, _BLOB_WRITERS, _BLOB_WRITERS[0]
    )
    finding = await _look(facts, need, grant_at=storage)
    if finding.severity != "error":
        return [finding]
    if roles.STORAGE_BLOB_DATA_READER not in await _held(facts, scope, workspace.principal_ids):
        return [finding]
    return [warning(code, _reader_only(who, storage), finding.command)]


def _reader_only(who: str, storage: str) -> str:
    return (
        f"{who} has only Storage Blob Data Reader on {arm_name(storage)}. Microsoft's page is of two minds: its "
        "limitations ask for reader permission on the storage account, its steps to connect ask for Storage Blob "
        "Data Contributor. Labelbridge follows the steps, and goes on with Reader: creating a job or exporting "
        "labels may fail."
    )


async def _caller(facts: Facts, code: FindingCode, scope: str, accepted: tuple[str, ...]) -> list[Finding]:
    actor = facts.look.actor
    if not actor.object_id:
        return [error(code, "It is not known who asks: no object id to look roles up for.")]
    worker = await facts.identity()
    known = worker.principal_type if worker.object_id == actor.object_id else ""
    who = f"The caller {actor.name or actor.object_id}"
    return [await _look(facts, _Need(code, who, (actor.object_id,), known, scope, accepted, accepted[0]))]


async def _worker(facts: Facts, code: FindingCode, scope: str, accepted: tuple[str, ...]) -> list[Finding]:
    worker = await facts.identity()
    who = f"The worker ({worker.object_id})"
    need = _Need(code, who, (worker.object_id,), worker.principal_type, scope, accepted, accepted[0])
    return [await _look(facts, need)]


async def _look(facts: Facts, need: _Need, *, grant_at: str | None = None) -> Finding:
    held = await _held(facts, need.scope, need.principals)
    where = arm_name(grant_at or need.scope)
    for role in need.accepted:
        if role.casefold() in held:
            return fine(need.code, f"{need.who} has {roles.role_name(role)} on {where}.")
    names = " or ".join(roles.role_name(role) for role in need.accepted)
    command = commands.grant(
        need.grant,
        object_id=need.principals[0],
        principal_type=need.principal_type,
        scope=grant_at or need.scope,
    )
    message = f"{need.who} needs {names} on {where}. {_PROPAGATION}"
    return error(need.code, message, command, waitable=True)


async def _held(facts: Facts, scope: str, principals: Iterable[str]) -> set[str]:
    found = await asyncio.gather(*(facts.assignments(scope, principal) for principal in principals))
    return {assignment.role_guid for assignments in found for assignment in assignments}
