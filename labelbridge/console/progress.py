"""How far the labels of a project are, from sources that cost almost nothing.

Prevents a page that exports labels to count them: exports are slow and Language allows ten a minute.
While Azure ML is active its labeling job counts labelled, skipped and all items (`progressMetrics` of
ARM), for a whole workspace in one answer. While Language is active nothing counts there without an
export, so the last snapshot is shown; the age of each figure is shown beside it.
"""

from datetime import datetime
from enum import StrEnum

from labelbridge.azure.azureml_models import LabelingJob
from labelbridge.console.reading import Aged
from labelbridge.labels.manifest import Manifest
from labelbridge.model import Model, ProjectSummary, Studio


class Source(StrEnum):
    """Where the figures come from."""

    JOB = "labeling job"
    SNAPSHOT = "last snapshot"


class LabelProgress(Model):
    """Documents by what became of them."""

    labelled: int
    skipped: int = 0
    total: int | None = None
    """None: nothing says how many documents there are."""
    source: Source
    as_of: datetime

    @property
    def share(self) -> float | None:
        """Labelled documents of all, 0 to 1; None without a total."""
        return min(1.0, self.labelled / self.total) if self.total else None


def progress_of(
    summary: ProjectSummary,
    jobs: Aged[dict[str, LabelingJob]] | None,
    newest: Manifest | None = None,
) -> LabelProgress | None:
    """Label progress of a project, or None if nothing is known.

    Args:
        summary: the project's line.
        jobs: the labeling jobs of its workspace by case-folded name, if they could be read.
        newest: its last snapshot in force, if that was read. The same labels taken again are no new one,
            so what the last sync named may be later.
    """
    job = jobs.value.get(summary.job.name.casefold()) if jobs and summary.job else None
    total = job.total if job and job.total else None
    if summary.connected and summary.active is Studio.AZUREML and job and jobs:
        return LabelProgress(
            labelled=job.completed,
            skipped=job.skipped,
            total=total,
            source=Source.JOB,
            as_of=jobs.read_at,
        )
    known = [one for one in (summary.last_sync, newest) if one is not None]
    if not known:
        return None
    last = max(known, key=lambda one: one.taken_at)
    return LabelProgress(labelled=last.documents, total=total, source=Source.SNAPSHOT, as_of=last.taken_at)
