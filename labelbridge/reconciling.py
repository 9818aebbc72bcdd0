"""Reads what is compared with the records: one project closely, or the whole fleet in a few listings.

Prevents a reconciler that costs more than it finds. The whole fleet is read by lists (one of each Language
resource, one of each workspace, one of the claims), so that Azure's quota of 100 reads a minute and
resource is not used up by looking; only a project that seems to differ is then read by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from labelbridge.azure.azureml_models import LabelingJob
from labelbridge.azure.language_models import LanguageProject
from labelbridge.azure.session import AzureSession
from labelbridge.drift import Facts, JobFacts, ProjectFacts, compare, decided, same
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    Drift,
    DriftPolicy,
    ErrorInfo,
    JobRef,
    ProjectRef,
    Record,
    StoredRecord,
)
from labelbridge.model.sweeps import Survey, Suspect
from labelbridge.registry import Registry
from labelbridge.settings import Settings

T = TypeVar("T")
SUSPECTS = 500
"""Projects that one look at the fleet names at most: their asking must fit into one workflow's history."""


@dataclass(frozen=True)
class Look:
    """One project as it stands. `drift` says of each difference what the policy makes of it."""

    stored: StoredRecord | None
    known: bool
    drift: tuple[Drift, ...] = ()


class Reconciler:
    """Looks; changes nothing."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._registry = registry
        self._settings = settings

    async def look(self, ref: ProjectRef, policy: DriftPolicy | None = None) -> Look:
        """Read one project, its jobs and their claims, and compare them with its record.

        Args:
            ref: The project.
            policy: What becomes of a difference; None: as the settings say, with their exceptions.
        """
        stored = await self._registry.load(ref)
        project = await self._session.language(ref.language_resource).project(ref.name)
        if stored is None:
            return Look(None, project is not None)
        record = stored.record
        jobs = list(await asyncio.gather(*(self._job(job) for job in _jobs(record))))
        facts = Facts(
            project=_project_facts(project),
            job=jobs.pop(0) if record.connection else None,
            retired=tuple(jobs),
            link=self._link(record),
            claims=tuple([(job, await self._registry.read_claim(job)) for job in _jobs(record)]),
        )
        return Look(stored, project is not None, self._decided(compare(record, facts), policy))

    async def survey(self) -> Survey:
        """Look at every project that has a record; name those that somebody must look at closely.

        A list that cannot be read hides only the projects that are in it; it is among the problems.
        """
        records, broken = await self._registry.survey()
        problems = [error.info for error in broken]
        projects = await self._listed(
            {record.project.language_resource for record in records},
            lambda resource: self._session.language(resource).projects(),
            problems,
        )
        jobs = await self._listed(
            {job.workspace for record in records for job in _jobs(record)},
            lambda workspace: self._session.workspace(workspace).jobs(),
            problems,
        )
        claims = await self._registry.claim_keys()
        suspects: list[Suspect] = []
        for record in records:
            facts = _listed_facts(record, projects, jobs, claims)
            if facts is not None:
                facts = replace(facts, link=self._link(record))
            if await self._is_suspect(record, facts):
                suspects.append(Suspect(project=record.project, interrupted=record.transition is not None))
        return Survey(
            projects=len(records), suspects=tuple(suspects[:SUSPECTS]), problems=tuple(problems[:20])
        )

    async def _is_suspect(self, record: Record, facts: Facts | None) -> bool:
        if record.transition is not None:
            return True
        if facts is None:
            return False
        if record.drift:  # what stands may be about a claim's content, which a list does not tell
            standing = tuple([(job, await self._registry.read_claim(job)) for job in _jobs(record)])
            facts = replace(facts, claims=standing)
        drift = self._decided(compare(record, facts), None)
        return any(one.outcome == "found" for one in drift) or not same(drift, record.drift)

    def _decided(self, drift: tuple[Drift, ...], policy: DriftPolicy | None) -> tuple[Drift, ...]:
        if policy is not None:
            return decided(drift, policy)
        return decided(drift, self._settings.reconcile.policy, self._settings.reconcile.only_report)

    def _link(self, record: Record) -> str | None:
        if record.connection is None:
            return None
        job = record.connection.job.resource_id
        return self._settings.azure.aml_project_path.format(job_resource_id=job)

    async def _job(self, ref: JobRef) -> JobFacts:
        return _job_facts(ref, await self._session.workspace(ref.workspace).job(ref.name))

    async def _listed(
        self,
        places: Iterable[str],
        read: Callable[[str], Awaitable[tuple[T, ...]]],
        problems: list[ErrorInfo],
    ) -> dict[str, tuple[T, ...]]:
        """What each place lists, by the place's id in lower case; a place that refuses is left out."""
        found: dict[str, tuple[T, ...]] = {}
        for place in sorted(places):
            if place.casefold() in found:
                continue
            try:
                found[place.casefold()] = await read(place)
            except LabelbridgeError as error:
                problems.append(error.info)
        return found


def _jobs(record: Record) -> tuple[JobRef, ...]:
    """The connected labeling job, if there is one, and the retired ones."""
    return (*((record.connection.job,) if record.connection else ()), *record.retired)


def _listed_facts(
    record: Record,
    projects: Mapping[str, tuple[LanguageProject, ...]],
    jobs: Mapping[str, tuple[LabelingJob, ...]],
    claims: frozenset[str],
) -> Facts | None:
    """What the lists say of one project; None if one of them could not be read."""
    mine = _jobs(record)
    listed = projects.get(record.project.language_resource.casefold())
    if listed is None or any(job.workspace.casefold() not in jobs for job in mine):
        return None
    name = record.project.name.casefold()
    project = next((one for one in listed if one.name.casefold() == name), None)
    seen = [
        _job_facts(job, next((j for j in jobs[job.workspace.casefold()] if _is(j, job)), None))
        for job in mine
    ]
    return Facts(
        project=_project_facts(project),
        job=seen.pop(0) if record.connection else None,
        retired=tuple(seen),
        claims=tuple((job, None) for job in mine if job.claim_key not in claims),
    )


def _is(job: LabelingJob, ref: JobRef) -> bool:
    return job.name.casefold() == ref.name.casefold()


def _project_facts(found: LanguageProject | None) -> ProjectFacts | None:
    if found is None:
        return None
    return ProjectFacts(
        locked=found.locked,
        aml_project_path=found.aml_project_path,
        kind=found.kind,
        multilingual=found.multilingual,
        container=found.container,
    )


def _job_facts(ref: JobRef, found: LabelingJob | None) -> JobFacts:
    if found is None:
        return JobFacts(ref, exists=False)
    return JobFacts(
        ref,
        exists=True,
        gated=found.gated,
        archived=found.archived,
        tags=found.tags,
        data_id=found.data_id,
    )
