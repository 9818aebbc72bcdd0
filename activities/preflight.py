"""Preflight: everything an operation needs, looked at before anything is touched.

Prevents two failures: an operation that stands still half-way for want of a role, and a user who
mends one finding only to be shown the next. All checks run, concurrently; none hides another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from temporalio import activity

from activities import _preflight_checks as checks
from activities import _preflight_roles as role_checks
from activities._files import scratch
from activities._preflight_codes import FindingCode
from activities._preflight_facts import CannotCheckError, Facts, error
from activities.exports import finished
from labelbridge import names
from labelbridge._threads import in_thread
from labelbridge.azure.language import LanguageProject
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.model import Finding, OperationKind, Preflight, PreflightLook
from labelbridge.registry import Registry
from labelbridge.settings import Settings

Check = Callable[[Facts], Awaitable[list[Finding]]]

_ACCESS: tuple[Check, ...] = (
    checks.registry,
    role_checks.worker_language,
    role_checks.worker_storage,
    role_checks.language_storage,
)
_CALLER: tuple[Check, ...] = (role_checks.caller_language, role_checks.caller_workspace)
_AZUREML: tuple[Check, ...] = (
    checks.storage,
    checks.datastore,
    role_checks.worker_workspace,
    role_checks.workspace_storage,
)
_PAIR: tuple[Check, ...] = (
    checks.project,
    checks.connected,
    checks.job_usable,
    *_AZUREML,
    *_CALLER,
    *_ACCESS,
)

CHECKS: Mapping[OperationKind, tuple[Check, ...]] = {
    OperationKind.CONNECT: (
        checks.project,
        checks.connectable,
        checks.documents,
        checks.not_connected,
        checks.job_free,
        *_AZUREML,
        *_CALLER,
        *_ACCESS,
    ),
    OperationKind.SWITCH: _PAIR,
    OperationKind.SYNC: _PAIR,
    OperationKind.TRAIN: (
        checks.project,
        checks.model_free,
        checks.documents,
        checks.job_usable,
        *_AZUREML,
        *_CALLER,
        *_ACCESS,
    ),
    OperationKind.IMPORT: (
        checks.project_absent,
        checks.import_language,
        checks.source,
        checks.storage,
        checks.documents,
        role_checks.caller_language,
        *_ACCESS,
    ),
    OperationKind.DISCONNECT: _PAIR,
    OperationKind.RECOVER: (checks.project, *_ACCESS),
    OperationKind.RECONCILE: (checks.project, *_ACCESS),
}
"""Which checks an operation takes. Those about a labeling job find nothing where none is meant."""

_CACHED_COUNTS = 256
"""Projects whose number of categories is remembered: counting takes an export, of which Language
allows ten a minute, and a wait for roles looks again and again."""
_FINDINGS_FROM_ATTEMPT = 3
"""Attempt of a preflight on its own from which a service that does not answer is a finding."""


class Preflights:
    """The preflight's activity, and the counts it remembers."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._settings = settings
        self._counts: dict[tuple[str, str, str], int] = {}

    @activity.defn(name="preflight")
    async def preflight(self, look: PreflightLook) -> Preflight:
        """All findings of one look. May run twice: it changes nothing but a probe blob of its own.

        Raises:
            LabelbridgeError: A passing error, if a service did not answer: to be repeated. On its own
                (`doctor`), the preflight reports that as a finding from the third attempt on.
        """
        async with Facts(self._session, self._registry, self._settings, look) as facts:
            findings = await self._all(facts, CHECKS[OperationKind(look.request.kind)])
            return await _summary(facts, findings)

    async def _all(self, facts: Facts, wanted: tuple[Check, ...]) -> list[Finding]:
        todo = [*wanted, self._categories] if facts.connecting else wanted
        outcomes = await asyncio.gather(*(_made(check, facts) for check in todo), return_exceptions=True)
        findings: list[Finding] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                findings.append(_unavailable(outcome))
            else:
                findings += outcome
        return list(dict.fromkeys(findings))

    async def _categories(self, facts: Facts) -> list[Finding]:
        project = await facts.project()
        count = await self._count(facts, project) if project and project.kind else None
        return await checks.categories(facts, count)

    async def _count(self, facts: Facts, project: LanguageProject) -> int:
        """How many categories the project has: they are only in its export."""
        key = (facts.resource.casefold(), project.name, str(project.last_modified))
        if key not in self._counts:
            language = self._session.language(facts.resource)
            job_id = await language.start_export(project.name)
            while not finished(job := await language.job(project.name, "export", job_id), "The export"):
                await asyncio.sleep(self._settings.timing.poll.total_seconds())
            with scratch() as data:
                await language.download_to(job.result_url or "", data)
                file = await in_thread(lambda: LanguageProjectFile.open(data, f"export of {project.name}"))
                count = len(file.categories)
            while len(self._counts) >= _CACHED_COUNTS:
                self._counts.pop(next(iter(self._counts)))
            self._counts[key] = count
        return self._counts[key]


async def _made(check: Check, facts: Facts) -> list[Finding]:
    """The findings of one check, or the one finding that says why it cannot be made."""
    try:
        return await check(facts)
    except CannotCheckError as reason:
        return [reason.finding]
    except LabelbridgeError as failure:
        if not failure.final:
            raise
        return [error(FindingCode.CHECK_UNAVAILABLE, failure.message)]


def _unavailable(outcome: BaseException) -> Finding:
    """A service that did not answer: repeated by Temporal, in the end a finding of `doctor`."""
    if not isinstance(outcome, LabelbridgeError):
        raise outcome
    alone = activity.in_activity() and activity.info().workflow_type == names.PREFLIGHT_WORKFLOW
    if not alone or activity.info().attempt < _FINDINGS_FROM_ATTEMPT:
        raise outcome
    return error(FindingCode.CHECK_UNAVAILABLE, outcome.message)


async def _summary(facts: Facts, findings: list[Finding]) -> Preflight:
    """The findings with the facts that the operation needs later, as far as they could be read."""
    seen: dict[str, object] = {}
    request = facts.importing
    if request:
        seen |= {"kind": request.project_kind, "container": request.container, "datastore": request.datastore}
    try:
        if not request and (project := await facts.project()):
            seen |= {"kind": project.kind, "container": project.container}
        if not request and (datastore := await facts.datastore()):
            seen["datastore"] = datastore.name
        if place := await facts.place():
            seen["documents"] = await facts.documents(*place)
    except (CannotCheckError, LabelbridgeError):
        pass  # it is among the findings
    return Preflight.model_validate({"findings": findings, **seen})
