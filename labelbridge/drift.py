"""How a project differs from its record: a pure comparison, shared by the schedule, the operation and the CLI.

Prevents two opinions of what drift is. It compares what somebody read (`Facts`) with the record and says,
for each difference, what it means, what to do, and whether Labelbridge can put it right. What it cannot is
what only a person can decide or undo: Azure has no way back from a deletion, and a claim is never taken away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labelbridge.model import (
    Claim,
    Drift,
    DriftCode,
    DriftPolicy,
    JobRef,
    ProjectKind,
    Record,
    Studio,
    same_resource,
)

PROJECT_TAG = "labelbridge-project"
"""Tag of a labeling job: the key of the project that it was made for."""

REMEDIES: Mapping[DriftCode, str] = {
    DriftCode.LANGUAGE_OPEN: "Labelbridge locks it; `labelbridge switch --to language` is the way to label there.",
    DriftCode.AZUREML_OPEN: "Labelbridge pauses it; `labelbridge switch --to azureml` is the way to label there.",
    DriftCode.RETIRED_OPEN: "Labelbridge pauses and archives it again: a retired job never takes labels.",
    DriftCode.LANGUAGE_SHUT: "Labelbridge unlocks it.",
    DriftCode.AZUREML_SHUT: "Labelbridge resumes it; list `azureml_shut` in LABELBRIDGE_RECONCILE__ONLY_REPORT "
    "if people pause the job in Azure ML studio on purpose.",
    DriftCode.LINK_DIFFERS: "Labelbridge writes the link again.",
    DriftCode.LINK_FOREIGN: "Somebody connected the project past Labelbridge: disconnect it where that was done.",
    DriftCode.CLAIM_MISSING: "Labelbridge writes the claim again.",
    DriftCode.CLAIM_FOREIGN: "Two projects say that the job is theirs: find out which is right, and disconnect the other.",
    DriftCode.JOB_MISSING: "Its name cannot be used again: `labelbridge disconnect PROJECT --discard-labels`, "
    "then connect to a new job. The labels that were carried before are snapshots.",
    DriftCode.JOB_ARCHIVED: "Unarchive it in Azure ML studio, or disconnect the project.",
    DriftCode.JOB_DIFFERS: "It may be another job under the same name: compare it, then disconnect the project "
    "or give the job its tags back.",
    DriftCode.PROJECT_MISSING: "Azure cannot restore it. Its labels are snapshots (`labelbridge snapshots`); "
    "`labelbridge import` makes a new project from them.",
    DriftCode.PROJECT_DIFFERS: "Change it back in Language Studio, or disconnect the project.",
}
"""What is done, or to be done, about each difference."""

CLOSABLE = frozenset(
    {
        DriftCode.LANGUAGE_OPEN,
        DriftCode.AZUREML_OPEN,
        DriftCode.RETIRED_OPEN,
        DriftCode.LANGUAGE_SHUT,
        DriftCode.AZUREML_SHUT,
        DriftCode.LINK_DIFFERS,
        DriftCode.CLAIM_MISSING,
    }
)
"""What Labelbridge can put right by itself."""
WRONGLY_OPEN = frozenset({DriftCode.LANGUAGE_OPEN, DriftCode.AZUREML_OPEN, DriftCode.RETIRED_OPEN})
"""What must be shut before anything else is touched."""


@dataclass(frozen=True)
class ProjectFacts:
    """What Language says of the project."""

    locked: bool
    aml_project_path: str | None
    kind: ProjectKind | None
    multilingual: bool
    container: str


@dataclass(frozen=True)
class JobFacts:
    """What Azure ML says of a labeling job."""

    ref: JobRef
    exists: bool
    gated: bool = True
    """Nobody can label. A job that is on its way counts as open, as everywhere."""
    archived: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    data_id: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that is compared with the record."""

    project: ProjectFacts | None
    job: JobFacts | None = None
    """The connected labeling job; None without a connection."""
    retired: tuple[JobFacts, ...] = ()
    link: str | None = None
    """What `amlProjectPath` is to be; None without a connection."""
    claims: tuple[tuple[JobRef, Claim | None], ...] = ()
    """The claims of the connected and the retired jobs, as far as they were read."""


def compare(record: Record, facts: Facts) -> tuple[Drift, ...]:
    """Each difference between a record at rest and what was read, those to be shut first.

    A record with a transition is not at rest: what it says is being changed, so nothing is compared.
    """
    if record.transition is not None or _says_nothing(record):
        return ()
    found = [*_gates(record, facts), *_project(record, facts), *_job(record, facts), *_claims(record, facts)]
    return tuple(sorted(found, key=lambda drift: drift.code not in WRONGLY_OPEN))


def decided(
    drift: tuple[Drift, ...], policy: DriftPolicy, only_report: tuple[DriftCode, ...] = ()
) -> tuple[Drift, ...]:
    """The same differences, with what is not to be put right marked as reported."""

    def outcome(code: DriftCode) -> str:
        return "found" if policy == "close" and code in CLOSABLE and code not in only_report else "reported"

    return tuple(one.model_copy(update={"outcome": outcome(one.code)}) for one in drift)


def same(one: tuple[Drift, ...], other: tuple[Drift, ...]) -> bool:
    """True if both tell people the same, whatever became of it since."""
    return {(d.code, d.message) for d in one} == {(d.code, d.message) for d in other}


def _says_nothing(record: Record) -> bool:
    """An import that was undone leaves a record of a project that never was."""
    return not (record.connection or record.retired or record.models or record.last_sync or record.epoch)


def _gates(record: Record, facts: Facts) -> Iterator[Drift]:
    for old in facts.retired:
        if old.exists and not old.gated:
            yield _drift(DriftCode.RETIRED_OPEN, f"The retired labeling job {old.ref.name} is open.", old.ref)
    if facts.project is not None:
        ours = record.connection is not None or bool(record.retired)  # else its gate was never our affair
        if ours and record.active is Studio.LANGUAGE and facts.project.locked:
            yield _drift(DriftCode.LANGUAGE_SHUT, "Language is active and its labeling is locked.")
        if record.active is Studio.AZUREML and not facts.project.locked:
            yield _drift(DriftCode.LANGUAGE_OPEN, "Azure ML is active and labeling in Language is open.")
    job = facts.job
    if job is None or not job.exists:
        return
    if record.active is Studio.LANGUAGE and not job.gated:
        yield _drift(
            DriftCode.AZUREML_OPEN, f"Language is active and labeling job {job.ref.name} is open.", job.ref
        )
    if record.active is Studio.AZUREML and job.gated and not job.archived:
        yield _drift(
            DriftCode.AZUREML_SHUT,
            f"Azure ML is active and labeling job {job.ref.name} is not running.",
            job.ref,
        )


def _project(record: Record, facts: Facts) -> Iterator[Drift]:
    project = facts.project
    if project is None:
        yield _drift(DriftCode.PROJECT_MISSING, f"Language has no project {record.project.name} any more.")
        return
    if (project.aml_project_path or "").casefold() != (facts.link or "").casefold():
        code = DriftCode.LINK_DIFFERS if record.connection else DriftCode.LINK_FOREIGN
        yield _drift(code, f"Language's settings name {project.aml_project_path or 'no labeling job'}.")
    if project.kind is not record.kind:
        now = project.kind.value if project.kind else "one that is not supported"
        yield _drift(DriftCode.PROJECT_DIFFERS, f"The project's kind is {now}, not {record.kind.value}.")
    if record.connection is None:
        return
    if project.multilingual:
        yield _drift(DriftCode.PROJECT_DIFFERS, "The project was made multilingual: Azure ML cannot be that.")
    if project.container != record.connection.container:
        yield _drift(
            DriftCode.PROJECT_DIFFERS,
            f"The project's documents are in {project.container}, the labeling job's in {record.connection.container}.",
        )


def _job(record: Record, facts: Facts) -> Iterator[Drift]:
    job, connection = facts.job, record.connection
    if job is None or connection is None:
        return
    if not job.exists:
        yield _drift(
            DriftCode.JOB_MISSING, f"The labeling job {job.ref.name} is gone from its workspace.", job.ref
        )
        return
    if job.archived:
        yield _drift(DriftCode.JOB_ARCHIVED, f"The labeling job {job.ref.name} was archived.", job.ref)
    if job.tags.get(PROJECT_TAG) != record.project.key:
        stands = job.tags.get(PROJECT_TAG) or "nothing"
        yield _drift(DriftCode.JOB_DIFFERS, f"The labeling job's tag {PROJECT_TAG} says {stands}.", job.ref)
    if not same_resource(job.data_id or "", connection.data_asset):
        yield _drift(
            DriftCode.JOB_DIFFERS,
            f"The labeling job reads {job.data_id}, not {connection.data_asset}.",
            job.ref,
        )


def _claims(record: Record, facts: Facts) -> Iterator[Drift]:
    for job, claim in facts.claims:
        if claim is None:
            yield _drift(DriftCode.CLAIM_MISSING, f"The claim of labeling job {job.name} is gone.", job)
        elif claim.project.key != record.project.key:
            yield _drift(
                DriftCode.CLAIM_FOREIGN,
                f"The labeling job {job.name} is claimed by {claim.project.name} ({claim.operation_id}).",
                job,
            )


def _drift(code: DriftCode, message: str, job: JobRef | None = None) -> Drift:
    return Drift(code=code, message=message, remedy=REMEDIES[code], job=job)
