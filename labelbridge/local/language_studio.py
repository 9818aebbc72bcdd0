"""Label endpoints of the Language studio. These are ours: Azure publishes none.

Prevents a gate that nobody ever tests: people (scripted ones) label through these endpoints, a
locked project refuses them with 409 once the lock took effect, and each accepted label is one line
of the studios' log, committed together with the label.
"""

import json
import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import language_labels, log
from labelbridge.local import language_store as store
from labelbridge.local.arm_accounts import LanguageAccount
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import Context
from labelbridge.local.http import caller, json_body, whole_number
from labelbridge.local.language_call import account_named
from labelbridge.local.language_store import Project
from labelbridge.local.language_text import Utf16Text
from labelbridge.local.rbac import Permission
from labelbridge.local.tokens import STUDIO_AUDIENCES, Principal

PATH = "/studio/language/{account}/{project}/documents"


@dataclass
class Visit:
    """A labeler's request that passed the checks of token and role."""

    context: Context
    request: Request
    account: LanguageAccount
    principal: Principal

    def project(self, db: sqlite3.Connection) -> Project:
        """The project of the path; 404 if there is none."""
        name = self.request.path_params["project"]
        found = store.load_project(db, self.account.name, name)
        if found is None:
            raise AzureError(404, "ProjectNotFound", f"There is no project named '{name}'.")
        return found

    async def text(self, project: Project) -> Utf16Text:
        """The text of the path's document; 404 if the container has no such `.txt` at its root."""
        name = self.request.path_params["document"]
        return await document_text(self.context, self.account, project, name)

    def is_open(self, db: sqlite3.Connection, project: Project) -> bool:
        """True if the studio accepts labels now."""
        return log.is_open(db, "language", project.subject, self.context.clock.now())


async def document_text(context: Context, account: LanguageAccount, project: Project, name: str) -> Utf16Text:
    """The text of a document; 404 if there is none of that name, 400 if it is not UTF-8."""
    data = None
    if _is_document(context, name):
        data = await context.blobs.read(account.storage_name or "", project.container, name)
    if not data:
        raise AzureError(404, "DocumentNotFound", f"The container has no document '{name}'.")
    try:
        return Utf16Text.decode(data)
    except UnicodeDecodeError:
        raise AzureError(400, "InvalidDocument", f"The document '{name}' is not UTF-8.") from None


async def document_names(context: Context, account: LanguageAccount, project: Project) -> list[str]:
    """Documents of the project's container, in name order.

    Empty files and names that Language forbids are left out, as an import of them would be refused.
    """
    blobs = context.blobs.list(account.storage_name or "", project.container)
    return [blob.name async for blob in blobs if blob.size and _is_document(context, blob.name)]


def _is_document(context: Context, name: str) -> bool:
    """True for names that Language takes: what its own import would refuse is not shown for labeling."""
    return re.fullmatch(context.config.language.document_name_pattern, name) is not None


def document_view(project: Project, name: str, row: sqlite3.Row | None) -> dict[str, Any]:
    """What the studio shows of a document; `row` is its own in the store, None if it has none."""
    if row is None:
        return {"document": name, "labels": None, "labeledBy": None, "at": None}
    labels = language_labels.read(project.kind, json.loads(row["body"]))
    return {"document": name, "labels": labels, "labeledBy": row["labeled_by"], "at": iso(row["at"])}


async def list_documents(visit: Visit) -> Response:
    """`GET .../documents?skip&top`: all documents of the container, labelled or not."""
    with visit.context.state.read() as db:
        project = visit.project(db)
    names = await document_names(visit.context, visit.account, project)
    skip = whole_number(visit.request, "skip", 0, most=10**9)
    top = whole_number(visit.request, "top", len(names), most=10**9)
    with visit.context.state.read() as db:
        project = visit.project(db)
        rows = {row["location"]: row for row in store.documents(db, project.account, project.name)}
        is_open = visit.is_open(db, project)
    shown = [document_view(project, name, rows.get(name)) for name in names[skip : skip + top]]
    return JSONResponse({"open": is_open, "categories": project.categories, "documents": shown})


async def get_document(visit: Visit) -> Response:
    """`GET .../documents/{document}`: the same with its text."""
    with visit.context.state.read() as db:
        project = visit.project(db)
    text = await visit.text(project)
    name = visit.request.path_params["document"]
    with visit.context.state.read() as db:
        project = visit.project(db)
        row = store.document(db, project.account, project.name, name)
        is_open = visit.is_open(db, project)
    view = document_view(project, name, row)
    return JSONResponse({"open": is_open, "categories": project.categories, **view, "text": text.text})


async def put_labels(visit: Visit) -> Response:
    """`PUT .../documents/{document}/labels` with `{"labels": ...}` in Language's form.

    409 `LabelingLocked` if the project is locked. The reply's `sequence` is the line in the studios' log.
    """
    body = await json_body(visit.request)
    with visit.context.state.read() as db:
        project = visit.project(db)
    text = await visit.text(project)
    name = visit.request.path_params["document"]
    with visit.context.state.write() as db:
        now = visit.context.clock.now()
        project = visit.project(db)
        if not log.is_open(db, "language", project.subject, now):
            raise AzureError(409, "LabelingLocked", f"Labeling of project '{project.name}' is locked.")
        labels = _accepted(visit.context, project, body.get("labels"), text)
        row = store.document(db, project.account, project.name, name)
        before = json.loads(row["body"]) if row else {"location": name, "language": project.language}
        after = language_labels.write(project.kind, before, labels, text.length)
        by = visit.principal.object_id
        store.save_document(db, project, after, by=by, at=now)
        sequence = log.append(
            db,
            "language",
            project.subject,
            "write",
            now=now,
            by=by,
            document=name,
            labels_json=json.dumps(labels),
        )
    return JSONResponse({"sequence": sequence, "acknowledgedAt": iso(now)})


def _accepted(context: Context, project: Project, labels: Any, text: Utf16Text) -> Any:
    try:
        language_labels.check(
            project.kind,
            labels,
            frozenset(project.categories),
            text,
            max_entity_length=context.config.language.max_entity_characters,
        )
    except language_labels.InvalidLabelsError as refused:
        raise AzureError(400, "InvalidLabels", refused.message) from None
    return language_labels.plain(project.kind, labels)


def studio_routes(context: Context) -> list[Route]:
    """The three routes; labels need Language Writer or Owner, reading needs Reader."""
    return [
        _route(context, "GET", PATH, list_documents, "language.read"),
        _route(context, "GET", PATH + "/{document}", get_document, "language.read"),
        _route(context, "PUT", PATH + "/{document}/labels", put_labels, "language.write"),
    ]


def _route(
    context: Context,
    method: str,
    path: str,
    handler: Callable[[Visit], Awaitable[Response]],
    permission: Permission,
) -> Route:
    async def endpoint(request: Request) -> Response:
        principal = caller(request, *STUDIO_AUDIENCES)
        account = account_named(context, request.path_params["account"])
        context.rbac.require(principal, account.id, permission, path=request.url.path)
        return await handler(Visit(context, request, account, principal))

    return Route(path, endpoint, methods=[method], name=handler.__name__)
