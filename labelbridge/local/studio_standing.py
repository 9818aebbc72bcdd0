"""Who labels a project now, in the words of the banner that a studio's page shows.

Prevents the sentence "labeling is disabled" that leaves people alone with it: the banner names the studio
in which people label now and leads there. Each studio sees the other the way Azure records it: the Language
project names its labeling job in `settings.amlProjectPath`, the job names nothing.
"""

import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from labelbridge.local import labeling_store, log
from labelbridge.local import language_store as store
from labelbridge.local.api import segment
from labelbridge.local.arm_store import key_of
from labelbridge.local.labeling_store import Job
from labelbridge.local.labeling_studio import refusal_of
from labelbridge.local.language_store import Project
from labelbridge.model import ProjectKind

LANGUAGE, AZUREML = "Language Studio", "Azure Machine Learning data labeling"
DISABLED = "Labeling is disabled here"
_DECISION = {
    ProjectKind.ENTITIES: "entities",
    ProjectKind.MULTI_LABEL: "classes",
    ProjectKind.SINGLE_LABEL: "class",
}


@dataclass(frozen=True)
class Standing:
    """Whether a studio takes labels now, and what its page says of it."""

    open: bool
    headline: str
    text: str
    other: str
    """Name of the studio in which people label now; '' if in neither or if here."""
    other_page: str
    """Path of its page; '' if there is none."""
    labelled: int
    """Documents with a label decision."""

    def view(self) -> dict[str, Any]:
        """As JSON for the page's script."""
        return asdict(self)


def of_project(db: sqlite3.Connection, project: Project, now: float) -> Standing:
    """How a Language project stands at `now` (seconds since 1970)."""
    done = labelled_in_project(db, project)
    if log.is_open(db, "language", project.subject, now):
        return Standing(True, "Labeling is enabled", "", "", "", done)
    path = str(project.settings.get("amlProjectPath") or "")
    job = labeling_store.find(db, path) if path else None
    if job is None:
        return Standing(False, DISABLED, "The project is locked; it has no labeling job.", "", "", done)
    if refusal_of(db, job, now) is None:
        text = f"Labels of this project are made in {AZUREML} now, in the labeling job {job.name}."
        return Standing(False, DISABLED, text, AZUREML, job_page(job), done)
    return Standing(False, DISABLED, _between(AZUREML), "", "", done)


def of_job(db: sqlite3.Connection, job: Job, now: float) -> Standing:
    """How a labeling job stands at `now`."""
    done = len(labeling_store.labelled(db, job))
    refusal = refusal_of(db, job, now)
    if refusal is None:
        return Standing(True, "Labeling is enabled", "", "", "", done)
    project = _project_of(db, job)
    if project is None:
        return Standing(False, DISABLED, f"{refusal.message} No Language project names it.", "", "", done)
    if log.is_open(db, "language", project.subject, now):
        text = f"Labels of this job are made in {LANGUAGE} now, in the project {project.name}."
        return Standing(False, DISABLED, text, LANGUAGE, project_page(project), done)
    return Standing(False, DISABLED, _between(LANGUAGE), "", "", done)


def labelled_in_project(db: sqlite3.Connection, project: Project) -> int:
    """How many documents of a Language project have a label decision."""
    field = _DECISION[project.kind]
    row = db.execute(
        "SELECT COUNT(*) FROM language_documents WHERE account = ? AND project = ?"
        " AND COALESCE(json_type(body, ?), 'null') != 'null'",
        (project.account, project.name, f"$.{field}"),
    ).fetchone()
    return int(row[0])


def project_page(project: Project) -> str:
    """Path of a Language project's page."""
    return f"/studio/language/{segment(project.account)}/{segment(project.name)}"


def job_page(job: Job) -> str:
    """Path of a labeling job's page."""
    _, _, subscription, _, group, _, _, _, workspace, _, name = job.id.split("/")
    return f"/studio/azureml/{subscription}/{segment(group)}/{segment(workspace)}/{segment(name)}"


def all_projects(db: sqlite3.Connection) -> list[Project]:
    """Projects of all Language resources, by name."""
    accounts = db.execute("SELECT DISTINCT account FROM language_projects ORDER BY account").fetchall()
    return [one for row in accounts for one in store.list_projects(db, row["account"])]


def _project_of(db: sqlite3.Connection, job: Job) -> Project | None:
    """The Language project that names this job; None if none does."""
    named = (one for one in all_projects(db) if one.settings.get("amlProjectPath"))
    return next((one for one in named if key_of(str(one.settings["amlProjectPath"])) == job.key), None)


def _between(other: str) -> str:
    return f"Nobody labels at this moment: {other} does not take labels either. A switch is under way."
