"""Training jobs: the models, each with the snapshot it was trained on, and the way to the next one."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from labelbridge.console.pages.context import shared_of
from labelbridge.console.pages.project import Project, Reader
from labelbridge.console.pages.render import page
from labelbridge.console.project_view import acts_of

router = APIRouter(prefix="/projects/{key}")


@router.get("/training")
async def training(request: Request, ref: Project, _: Reader) -> Response:
    """All models, newest first."""
    view = await shared_of(request).views.look(ref)
    models = sorted(view.status.models, key=lambda model: model.trained_at, reverse=True)
    act = next(act for act in acts_of(view.status) if act.name == "train")
    return page(request, "training.html", view=view, models=models, act=act, tab="training")
