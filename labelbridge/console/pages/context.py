"""What all pages share, made once for each application: caches, the fleet, views and live feeds."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI, Request

from labelbridge.console.connection import TemporalConnection
from labelbridge.console.fleet import Fleet
from labelbridge.console.live import Feeds
from labelbridge.console.project_view import ProjectView, ProjectViews
from labelbridge.console.reading import Reading
from labelbridge.model import ProjectRef
from labelbridge.settings import Settings

BUSY_PAUSE = 1.0
"""Seconds between two looks at a project on which something runs and that somebody watches."""
IDLE_PAUSE = 3.0
"""The same when nothing runs."""


@dataclass(frozen=True)
class Shared:
    """One per application."""

    settings: Settings
    reading: Reading
    fleet: Fleet
    views: ProjectViews
    feeds: Feeds[ProjectRef, ProjectView]


def shared_of(request: Request) -> Shared:
    """What the pages of this application share."""
    app: FastAPI = request.app
    found: Shared | None = getattr(app.state, "pages", None)
    if found is None:
        found = app.state.pages = _make(app)
    return found


def _make(app: FastAPI) -> Shared:
    settings: Settings = app.state.settings
    temporal: TemporalConnection = app.state.temporal
    reading: Reading = app.state.reading
    views = ProjectViews(temporal.client, settings, reading)
    return Shared(
        settings=settings,
        reading=reading,
        fleet=app.state.fleet,
        views=views,
        feeds=Feeds(views.look, _pause),
    )


def _pause(view: ProjectView) -> float:
    return BUSY_PAUSE if view.operation or view.status.queued else IDLE_PAUSE


def minutes(value: timedelta) -> int:
    """Whole minutes."""
    return int(value.total_seconds() // 60)
