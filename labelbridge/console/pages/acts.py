"""The acts: ask what is to be decided, show what would happen and what is missing, then start it.

Prevents an act by accident and an act twice. Nothing starts but from the review, which shows the plan and
the preflight's findings; what cannot be taken back wants the project's name typed; and each review
carries an idempotency key, so that pressing twice, or again after no answer came, starts one operation.
"""

import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from labelbridge.client import Labelbridge
from labelbridge.console import deps, problems
from labelbridge.console.auth.people import Person, Role
from labelbridge.console.pages.context import Shared, shared_of
from labelbridge.console.pages.forms import FORMS, ORIGINS, Form, Values
from labelbridge.console.pages.project import OPERATION_ID, Project, findings, newest
from labelbridge.console.pages.render import page
from labelbridge.console.project_view import ProjectView, refusal_of
from labelbridge.errors import LabelbridgeError
from labelbridge.lifecycle import judge
from labelbridge.model import ErrorInfo, Preflight, ProjectRef
from labelbridge.plans import plan

router = APIRouter(prefix="/projects/{key}")

CHOICES = 50
"""Snapshots to choose from when a model is to be trained on one."""
MOST_ROLE_MINUTES = 60
_OURS = ("csrf_token", "step", "key", "typed", "wait_minutes")
"""Fields of the pages themselves; all others are the act's."""
_KEY = re.compile(r"[0-9a-f]{32}")
Handler = Callable[..., Coroutine[Any, Any, Response]]


class Page:
    """One act on one project for one person: what is needed to draw any of its steps."""

    def __init__(
        self, request: Request, form: Form, shared: Shared, bridge: Labelbridge, view: ProjectView
    ) -> None:
        """All of it is read already."""
        self.request = request
        self.form = form
        self.shared = shared
        self.bridge = bridge
        self.view = view

    async def fields(self, values: Values, error: LabelbridgeError | None = None) -> Response:
        """First step: what is to be decided. An act that is not legal now is refused here already."""
        error = error or refusal_of(self.form.name, self.view.status)
        ref, ignored = self.view.status.project, list[ErrorInfo]()
        snapshots = await newest(self.shared, ref, CHOICES, ignored) if self.form.name == "train" else []
        return self._page("act_fields.html", values, error, snapshots=snapshots, origins=ORIGINS)

    async def review(
        self, values: Values, error: LabelbridgeError | None = None, key: str | None = None
    ) -> Response:
        """Second step: the request in words, its plan, and the preflight's findings."""
        try:
            asked = self.form.build(values, self.view.status, self.bridge)
        except LabelbridgeError as wrong:
            return await self.fields(values, wrong)
        preflight: Preflight | None = None
        unseen: ErrorInfo | None = None
        try:
            judge(self.view.status, asked)
        except LabelbridgeError as refused:
            error = error or refused
        else:
            if error is None or error.code in ("not_confirmed", "no_worker"):
                preflight, unseen = await findings(self.bridge, self.view.status.project, asked)
        return self._page(
            "act_review.html",
            values,
            error,
            words=self.form.summary(values, self.view.status),
            steps=plan(asked, self.view.status),
            preflight=preflight,
            unseen=unseen,
            request_key=key or uuid4().hex,
            most_minutes=MOST_ROLE_MINUTES,
        )

    async def start(self, values: Values, given: Values) -> Response:
        """Last step: submit the request, once, however often the form is sent."""
        key = given["key"] if _KEY.fullmatch(given.get("key", "")) else uuid4().hex
        ref = self.view.status.project
        try:
            asked = self.form.build(values, self.view.status, self.bridge)
            if self.form.typed:
                _confirm(given.get("typed", ""), ref)
            handle = await self.bridge.start(
                ref,
                asked,
                key=key,
                wait_for_roles=_patience(given.get("wait_minutes", "")),
                accept_timeout=self.shared.settings.console.accept_timeout,
            )
        except LabelbridgeError as error:
            # A refusal is over, so the next attempt is another one; after silence it is the same.
            keep = not error.final or error.code == "not_confirmed"
            return await self.review(values, error, key if keep else None)
        address = f"/projects/{ref.key}/{self.form.after}?started={handle.operation_id}"
        return RedirectResponse(address, 303)

    def _page(
        self, template: str, values: Values, error: LabelbridgeError | None, **context: object
    ) -> Response:
        status = problems.status_of(error.code) if error else 200
        form, view = self.form, self.view
        shown = {"form": form, "values": values, "view": view, "tab": form.after, **context}
        title = error.kind.title if error else ""
        return page(self.request, template, status, error=error.info if error else None, title=title, **shown)


def _confirm(typed: str, ref: ProjectRef) -> None:
    if typed.strip() != ref.name:
        raise LabelbridgeError(
            "not_confirmed", f"The typed name is not {ref.name!r}.", remedy="Type the project's name exactly."
        )


def _patience(text: str) -> timedelta:
    """Minutes that somebody is ready to wait for role assignments."""
    if not text.strip():
        return timedelta(0)
    if not text.strip().isdecimal() or int(text) > MOST_ROLE_MINUTES:
        message = f"wait_minutes: a number of minutes, {MOST_ROLE_MINUTES} at most."
        raise LabelbridgeError("input_invalid", message)
    return timedelta(minutes=int(text))


async def _opened(request: Request, form: Form, ref: ProjectRef, person: Person) -> Page:
    shared = shared_of(request)
    bridge = await deps.bridge(request, person)
    return Page(request, form, shared, bridge, await shared.views.look(ref))


def _shown(form: Form, allowed: Callable[..., Person]) -> Handler:
    async def show(request: Request, ref: Project, person: Annotated[Person, Depends(allowed)]) -> Response:
        opened = await _opened(request, form, ref, person)
        given = {name: value for name, value in request.query_params.items() if name not in _OURS}
        values = {**form.defaults(opened.view.status, opened.bridge), **given}
        if form.asks_first(opened.view.status):
            return await opened.fields(values)
        return await opened.review(values)

    return show


def _sent(form: Form, allowed: Callable[..., Person]) -> Handler:
    async def send(request: Request, ref: Project, person: Annotated[Person, Depends(allowed)]) -> Response:
        given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        values = {name: value for name, value in given.items() if name not in _OURS}
        opened = await _opened(request, form, ref, person)
        match given.get("step"):
            case "start":
                return await opened.start(values, given)
            case "review":
                return await opened.review(values)
            case _:
                return await opened.fields(values)

    return send


_ALLOWED: dict[Role, Callable[..., Person]] = {Role.OPERATOR: deps.operator, Role.OWNER: deps.owner}
for _form in FORMS.values():
    _allowed = _ALLOWED[_form.role]
    router.add_api_route(f"/{_form.name}", _shown(_form, _allowed), methods=["GET"], name=_form.name)
    router.add_api_route(
        f"/{_form.name}", _sent(_form, _allowed), methods=["POST"], name=f"{_form.name}_sent"
    )


@router.get("/cancel")
async def cancel(
    request: Request,
    ref: Project,
    _: Annotated[Person, Depends(deps.operator)],
    operation: Annotated[str, Query(max_length=100)],
) -> Response:
    """Ask once more before an operation is asked to stop."""
    view = await shared_of(request).views.look(ref)
    return page(request, "cancel.html", view=view, operation_id=operation, tab="labeling")


@router.post("/cancel")
async def cancel_sent(
    request: Request, ref: Project, person: Annotated[Person, Depends(deps.operator)]
) -> Response:
    """Ask an operation to stop: the one that was seen, not whatever runs by now."""
    operation_id = str((await request.form()).get("operation") or "")
    if not OPERATION_ID.fullmatch(operation_id):
        raise LabelbridgeError("operation_unknown", f"{ref.name} has no operation {operation_id!r}.")
    bridge = await deps.bridge(request, person)
    await bridge.operation(ref, operation_id).cancel()
    return RedirectResponse(f"/projects/{ref.key}/operations/{operation_id}", 303)
