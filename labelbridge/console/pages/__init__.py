"""The console's pages, drawn on the server; they follow the pages that a Language Studio user knows."""

from fastapi import APIRouter

from labelbridge.console.pages import acts, fleet, history, project, snapshots, streams, training
from labelbridge.console.pages.render import error_page

router = APIRouter(include_in_schema=False)
for _module in (fleet, project, training, snapshots, history, acts, streams):
    router.include_router(_module.router)

__all__ = ["error_page", "router"]
