"""The local Azure's own switches under `/local/`, and the studios' log. Azure has none of these.

They need no token: they exist for tests, for seeding and for a rehearsal's referee.
"""

import json
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelbridge.local import log
from labelbridge.local.azure_error import AzureError
from labelbridge.local.clock import iso
from labelbridge.local.context import context_of
from labelbridge.local.faults import FaultSpec
from labelbridge.local.http import json_body, whole_number
from labelbridge.local.identity import add, bootstrap_owner
from labelbridge.local.requests import forget_requests, list_requests


async def health(request: Request) -> Response:
    """`GET /local/health`: 200 once the server answers."""
    return JSONResponse({"status": "ok", "at": iso(context_of(request).clock.now())})


async def add_fault(request: Request) -> Response:
    """`POST /local/faults`: arm a fault; the body is `FaultSpec`, the reply has its `id`."""
    try:
        spec = FaultSpec.model_validate(await json_body(request))
    except ValidationError as error:
        raise AzureError(400, "InvalidRequest", str(error)) from error
    return JSONResponse(context_of(request).faults.add(spec).view(), status_code=201)


async def list_faults(request: Request) -> Response:
    """`GET /local/faults`: what is armed, how many requests each has struck and holds now."""
    return JSONResponse({"value": [fault.view() for fault in context_of(request).faults.all()]})


async def remove_faults(request: Request) -> Response:
    """`DELETE /local/faults[/{id}]`: disarm one or all; what they held goes on."""
    return JSONResponse({"removed": context_of(request).faults.remove(request.path_params.get("id"))})


async def studio_log(request: Request) -> Response:
    """`GET /studio/log?since=N&limit=M`: gate changes and accepted writes of both studios, in order."""
    context = context_of(request)
    since = whole_number(request, "since", 0, most=2**53)
    limit = whole_number(request, "limit", 10_000)
    with context.state.write() as db:
        log.settle(db, context.clock.now())
        rows = log.entries(db, since, limit)
    return JSONResponse({"value": [_entry(dict(row)) for row in rows]})


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    labels = row.pop("labels_json")
    return {**row, "labels": json.loads(labels) if labels is not None else None, "time": iso(row["at"])}


def admin_routes() -> list[Route]:
    """Everything under `/local/`, and `/studio/log`."""
    return [
        Route("/local/health", health, methods=["GET"]),
        Route("/local/principals", add, methods=["POST"]),
        Route("/local/bootstrap-owner", bootstrap_owner, methods=["POST"]),
        Route("/local/faults", add_fault, methods=["POST"]),
        Route("/local/faults", list_faults, methods=["GET"]),
        Route("/local/faults", remove_faults, methods=["DELETE"]),
        Route("/local/faults/{id}", remove_faults, methods=["DELETE"]),
        Route("/local/requests", list_requests, methods=["GET"]),
        Route("/local/requests", forget_requests, methods=["DELETE"]),
        Route("/studio/log", studio_log, methods=["GET"]),
    ]
