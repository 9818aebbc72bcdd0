"""What Language authoring answers, as frozen models, and how its JSON is read into them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from labelbridge.model import Model, ProjectKind

JobKind = Literal["export", "import", "train"]
JobStatus = Literal[
    "notStarted", "running", "succeeded", "failed", "cancelled", "cancelling", "partiallyCompleted"
]
"""`State` of the authoring API (2025-05-15-preview). The SDK's poller never ends on two of them."""

_STATUSES: Final = frozenset(get_args(JobStatus))
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
"""Stands for a creation date that the service left out."""
_KINDS: Final = {kind.value.casefold(): kind for kind in ProjectKind}


class LanguageProject(Model):
    """One project. `kind` is None if it is of a kind that Labelbridge does not handle."""

    name: str
    kind: ProjectKind | None
    kind_name: str
    language: str
    multilingual: bool
    container: str
    locked: bool
    """`settings.isLabelingLocked`; absent means unlocked."""
    aml_project_path: str | None
    settings: dict[str, Any]
    description: str
    last_modified: datetime | None = None


class LanguageJob(Model):
    """One long-running job. `percent` and `evaluation_percent` are 0 to 100 and only of trainings."""

    id: str
    status: JobStatus
    errors: tuple[str, ...] = ()
    result_url: str | None = None
    percent: int | None = None
    evaluation_percent: int | None = None
    model_label: str | None = None
    config_version: str | None = None
    created: datetime = _LONG_AGO

    @property
    def done(self) -> bool:
        """True if the status will not change any more."""
        return self.status in ("succeeded", "failed", "cancelled", "partiallyCompleted")

    @property
    def succeeded(self) -> bool:
        """True only for `succeeded`: a partly completed job is no success."""
        return self.status == "succeeded"


class LanguageModel(Model):
    """A trained model."""

    label: str
    id: str
    training_config_version: str
    last_trained: datetime | None = None
    has_snapshot: bool = False


class Deployment(Model):
    """A deployment; `model` is the service's model id, which begins with the model's label."""

    name: str
    model: str
    deployed_at: datetime | None = None


def project_from(body: Mapping[str, Any]) -> LanguageProject:
    """Read a project body."""
    settings = dict(body.get("settings") or {})
    kind_name = str(body.get("projectKind") or "")
    path = settings.get("amlProjectPath")
    return LanguageProject(
        name=str(body.get("projectName") or ""),
        kind=_KINDS.get(kind_name.casefold()),
        kind_name=kind_name,
        language=str(body.get("language") or ""),
        multilingual=bool(body.get("multilingual")),
        container=str(body.get("storageInputContainerName") or ""),
        locked=bool(settings.get("isLabelingLocked")),
        aml_project_path=str(path) if path else None,
        settings=settings,
        description=str(body.get("description") or ""),
        last_modified=body.get("lastModifiedDateTime"),
    )


def job_from(body: Mapping[str, Any]) -> LanguageJob:
    """Read a job body of any kind."""
    result = body.get("result") or {}
    return LanguageJob(
        id=str(body.get("jobId") or ""),
        status=_status(str(body.get("status") or "")),
        errors=tuple(_said(error) for error in body.get("errors") or ()),
        result_url=body.get("resultUrl"),
        percent=(result.get("trainingStatus") or {}).get("percentComplete"),
        evaluation_percent=(result.get("evaluationStatus") or {}).get("percentComplete"),
        model_label=result.get("modelLabel"),
        config_version=result.get("trainingConfigVersion"),
        created=body.get("createdDateTime") or _LONG_AGO,
    )


def evaluation_from(body: Mapping[str, Any]) -> dict[str, float]:
    """The micro and macro figures of an evaluation summary, under the service's own names.

    They stand under a key that depends on the project kind (`customEntityRecognitionEvaluation`…).
    """
    for key, part in body.items():
        if key.startswith("custom") and isinstance(part, Mapping):
            return {
                name: float(value)
                for name, value in part.items()
                if name.startswith(("micro", "macro")) and isinstance(value, int | float)
            }
    return {}


def _status(text: str) -> JobStatus:
    """Both spellings of cancelled; a status that a later version adds counts as still running."""
    text = {"canceled": "cancelled", "canceling": "cancelling"}.get(text, text)
    return text if text in _STATUSES else "running"  # type: ignore[return-value]


def _said(error: Mapping[str, Any]) -> str:
    code, message = str(error.get("code") or ""), str(error.get("message") or "")
    return f"{code}: {message}".strip(": ")
