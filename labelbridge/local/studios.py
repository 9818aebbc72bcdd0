"""The label endpoints of both studios, as a labeler's browser would use them.

Azure publishes none; these are the local Azure's own. Labels are compared in one canonical form
whatever the studio: spans as sorted `(start, length, category)` in UTF-16 units, classes sorted. The
conversion is written here once more, apart from the product's, so that a referee who compares the two
sides does not share the product's mistakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from labelbridge.local.api import ARM, LANGUAGE, Caller, CallError, Reply, segment
from labelbridge.model import JobRef, ProjectKind, ProjectRef, Studio, arm_name

Canonical = tuple[Any, ...]
"""Hashable labels of one document: `((start, length, category), ...)` or `("A", "B")`."""
PAGE = 500


@dataclass(frozen=True)
class View:
    """What a studio shows: whether it accepts labels, and each document's labels (None: unlabelled)."""

    open: bool
    categories: tuple[str, ...]
    labels: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A labelled stretch of text in code points, the unit of Python's own strings; `end` is exclusive."""

    start: int
    end: int
    category: str


@dataclass(frozen=True)
class StudioClient:
    """One studio's view of one project, as one person."""

    caller: Caller
    studio: Studio
    path: str
    """Path of the documents (Language) or items (Azure ML)."""
    unit: str
    """Unit of spans on this studio's wire: `utf16` or `codepoint`."""

    def view(self) -> View:
        """All documents and their labels; `CallError` if there is no such project or job."""
        labels: dict[str, Any] = {}
        while True:
            body = self._request("GET", f"{self.path}?skip={len(labels)}&top={PAGE}").body
            rows = body["documents" if self.studio is Studio.LANGUAGE else "items"]
            labels |= {row["document"]: row["labels"] for row in rows}
            if len(rows) < PAGE:
                return View(body["open"], tuple(_names(body["categories"])), labels)

    def text(self, document: str) -> str:
        """A document's text."""
        return str(self._request("GET", f"{self.path}/{segment(document)}").body["text"])

    def put(self, document: str, labels: Any) -> Reply:
        """Label a document; any answer is returned: 200 with a sequence number, 409 when gated."""
        body = {"labels": labels}
        return self._request("PUT", f"{self.path}/{segment(document)}/labels", body, expect=None)

    def wire(self, kind: ProjectKind, text: str, decision: Sequence[Span] | Sequence[str]) -> Any:
        """A decision in this studio's own form."""
        if kind is ProjectKind.ENTITIES:
            spans = [one for one in decision if isinstance(one, Span)]
            return [self._span(text, one) for one in spans]
        classes = [one for one in decision if isinstance(one, str)]
        return classes[0] if kind is ProjectKind.SINGLE_LABEL else classes

    def canonical(self, kind: ProjectKind, text: str, labels: Any) -> Canonical:
        """Labels of this studio's own form in the form that both share."""
        if kind is not ProjectKind.ENTITIES:
            return (labels,) if isinstance(labels, str) else tuple(sorted(labels))
        return tuple(sorted(self._start_length(text, one) for one in labels))

    def _span(self, text: str, span: Span) -> dict[str, Any]:
        start, end = self._position(text, span.start), self._position(text, span.end)
        if self.studio is Studio.LANGUAGE:
            return {"category": span.category, "offset": start, "length": end - start}
        return {"label": span.category, "offsetStart": start, "offsetEnd": end}

    def _start_length(self, text: str, label: dict[str, Any]) -> tuple[int, int, str]:
        if self.studio is Studio.LANGUAGE:
            return label["offset"], label["length"], label["category"]
        start, end = label["offsetStart"], label["offsetEnd"]
        if self.unit == "codepoint":
            start, end = utf16(text[:start]), utf16(text[:end])
        return start, end - start, label["label"]

    def _position(self, text: str, index: int) -> int:
        return index if self.unit == "codepoint" else utf16(text[:index])

    def _request(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        resource = LANGUAGE if self.studio is Studio.LANGUAGE else ARM
        return self.caller.request(method, path, body, resource=resource, **options)


def utf16(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def language_studio(caller: Caller, project: ProjectRef, endpoint: str) -> StudioClient:
    """Language Studio's view of a project; `endpoint` is the resource's."""
    account = urlsplit(endpoint).path.rstrip("/").rsplit("/", 1)[-1]
    path = f"/studio/language/{segment(account)}/{segment(project.name)}/documents"
    return StudioClient(caller, Studio.LANGUAGE, path, "utf16")


def azureml_studio(caller: Caller, job: JobRef, unit: str) -> StudioClient:
    """Azure ML's view of a labeling job; `unit` is how this local Azure counts spans there."""
    _, _, subscription, _, group, *_ = job.workspace.split("/")
    path = f"/studio/azureml/{subscription}/{group}/{segment(arm_name(job.workspace))}/{job.name}/items"
    return StudioClient(caller, Studio.AZUREML, path, unit)


def is_open(client: StudioClient) -> bool | None:
    """Whether the studio says that it accepts labels; None if it has no such project or job."""
    try:
        return client.view().open
    except CallError as error:
        if error.status == 404:
            return None
        raise


def _names(categories: Sequence[Any]) -> list[str]:
    return [
        one if isinstance(one, str) else str(one.get("category") or one.get("name")) for one in categories
    ]
