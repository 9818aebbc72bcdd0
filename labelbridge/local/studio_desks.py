"""What a labeling page needs of a project, the same for both studios.

Prevents two pages that drift apart: a desk answers for one project in one studio, in the words and with
the numbers of that studio's own label endpoints, and the page asks no further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labelbridge.local import labeling_store, studio_standing
from labelbridge.local import language_store as store
from labelbridge.local.api import segment
from labelbridge.local.arm_accounts import LanguageAccount
from labelbridge.local.azure_error import AzureError
from labelbridge.local.context import Context
from labelbridge.local.labeling_store import Job
from labelbridge.local.labeling_studio import item_text, item_view
from labelbridge.local.language_store import Project
from labelbridge.local.language_studio import document_names, document_text, document_view
from labelbridge.local.studio_standing import AZUREML, LANGUAGE, Standing
from labelbridge.local.tokens import Principal
from labelbridge.model import ProjectKind

ENTITIES, SINGLE, MULTI = "entities", "single", "multi"
"""Kinds of label, as the page's script knows them."""
INSTRUCTIONS_LIMIT = 20_000
"""Characters of the instructions that a page shows."""
_KINDS = {ProjectKind.ENTITIES: ENTITIES, ProjectKind.SINGLE_LABEL: SINGLE, ProjectKind.MULTI_LABEL: MULTI}


@dataclass(frozen=True)
class Row:
    """A line of the list of documents."""

    document: str
    labelled: bool
    by: str
    """Object id of who labelled it; '' if nobody did here."""


@dataclass(frozen=True)
class Found:
    """One document as the editor takes it."""

    text: str
    labels: Any
    """In the studio's own form; None if there is no label decision."""


class Desk(Protocol):
    """One project in one studio."""

    @property
    def studio(self) -> str:
        """`language` or `azureml`."""

    @property
    def studio_name(self) -> str:
        """As people call it."""

    @property
    def name(self) -> str:
        """Name of the project or the labeling job."""

    @property
    def kind(self) -> str:
        """`entities`, `single` or `multi`."""

    @property
    def unit(self) -> str:
        """Unit of spans: `utf16` or `codepoint`."""

    @property
    def categories(self) -> Sequence[str]:
        """What a labeler may choose, in the project's order."""

    @property
    def page(self) -> str:
        """Path of its page."""

    def labels_path(self, document: str) -> str:
        """Path of a document at the studio's label endpoints."""

    def may_read(self, who: Principal) -> bool:
        """True if a role lets `who` look."""

    def may_label(self, who: Principal) -> bool:
        """True if a role lets `who` label."""

    def standing(self) -> Standing:
        """Whether it takes labels now."""

    async def rows(self) -> list[Row]:
        """All documents in the studio's order."""

    async def find(self, document: str) -> Found:
        """One document; AzureError 404 if there is none."""

    async def instructions(self) -> str:
        """What the labelers were told; '' if nothing."""


@dataclass(frozen=True)
class LanguageDesk:
    """A project in Language Studio."""

    context: Context
    account: LanguageAccount
    project: Project
    studio: str = "language"
    studio_name: str = LANGUAGE
    unit: str = "utf16"

    @property
    def name(self) -> str:
        """The project's name."""
        return self.project.name

    @property
    def kind(self) -> str:
        """As the script knows it."""
        return _KINDS[self.project.kind]

    @property
    def categories(self) -> Sequence[str]:
        """Entities or classes."""
        return self.project.categories

    @property
    def page(self) -> str:
        """Path of its page."""
        return studio_standing.project_page(self.project)

    def labels_path(self, document: str) -> str:
        """Below the page's own path."""
        return f"{self.page}/documents/{segment(document)}"

    def may_read(self, who: Principal) -> bool:
        """Any Language role."""
        return self.context.rbac.allows(who.object_id, self.account.id, "language.read")

    def may_label(self, who: Principal) -> bool:
        """Language Writer or Owner."""
        return self.context.rbac.allows(who.object_id, self.account.id, "language.write")

    def standing(self) -> Standing:
        """By the project's lock."""
        with self.context.state.read() as db:
            return studio_standing.of_project(db, self.project, self.context.clock.now())

    async def rows(self) -> list[Row]:
        """The container's documents in name order."""
        names = await document_names(self.context, self.account, self.project)
        with self.context.state.read() as db:
            found = store.documents(db, self.project.account, self.project.name)
            known = {row["location"]: document_view(self.project, row["location"], row) for row in found}
        return [
            _row(known.get(name) or {"document": name, "labels": None, "labeledBy": None}) for name in names
        ]

    async def find(self, document: str) -> Found:
        """Text from the container, labels from the project."""
        text = await document_text(self.context, self.account, self.project, document)
        with self.context.state.read() as db:
            row = store.document(db, self.project.account, self.project.name, document)
        return Found(text.text, document_view(self.project, document, row)["labels"])

    async def instructions(self) -> str:
        """A Language project has only a description."""
        return str(self.project.metadata.get("description") or "")


@dataclass(frozen=True)
class LabelingDesk:
    """A labeling job in Azure ML."""

    context: Context
    job: Job
    studio: str = "azureml"
    studio_name: str = AZUREML

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.name

    @property
    def kind(self) -> str:
        """By its annotation type, and `multiSelect`."""
        return ENTITIES if self.job.is_ner else MULTI if self.job.is_multi_label else SINGLE

    @property
    def unit(self) -> str:
        """As this local Azure is set to count."""
        return self.context.config.offset_unit

    @property
    def categories(self) -> Sequence[str]:
        """Display names of the classes."""
        return self.job.categories

    @property
    def page(self) -> str:
        """Path of its page."""
        return studio_standing.job_page(self.job)

    def labels_path(self, document: str) -> str:
        """Below the page's own path."""
        return f"{self.page}/items/{segment(document)}"

    def may_read(self, who: Principal) -> bool:
        """Any role that sees labeling jobs."""
        return self.context.rbac.allows(who.object_id, self.job.id, "labeling.read")

    def may_label(self, who: Principal) -> bool:
        """Labeler, Data Scientist, Contributor or Owner."""
        return self.context.rbac.allows(who.object_id, self.job.id, "labeling.label")

    def standing(self) -> Standing:
        """By the job's state."""
        with self.context.state.read() as db:
            return studio_standing.of_job(db, self.job, self.context.clock.now())

    async def rows(self) -> list[Row]:
        """Items in dataset order."""
        with self.context.state.read() as db:
            found = labeling_store.items(db, self.job, skip=0, top=-1)
        return [_row(item_view(row)) for row in found]

    async def find(self, document: str) -> Found:
        """Text from the container, labels from the job."""
        with self.context.state.read() as db:
            row = labeling_store.item(db, self.job, document)
        if row is None:
            raise AzureError(404, "NotFound", f"The labeling job has no item '{document}'.")
        return Found(await item_text(self.context, self.job, document), item_view(row)["labels"])

    async def instructions(self) -> str:
        """The text behind the job's link if it is a blob of the job's storage account, else the link."""
        link = str(self.job.properties["jobInstructions"]["uri"] or "")
        home = f"{self.context.blobs.endpoint(self.job.account)}/"
        container, _, blob = link.removeprefix(home).partition("?")[0].partition("/")
        if not link.startswith(home) or not blob:
            return link
        content = await self.context.blobs.read(self.job.account, container, blob)
        return link if content is None else content.decode("utf-8", "replace")[:INSTRUCTIONS_LIMIT]


def _row(view: dict[str, Any]) -> Row:
    return Row(view["document"], view["labels"] is not None, view["labeledBy"] or "")
