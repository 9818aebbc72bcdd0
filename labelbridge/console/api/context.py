"""What every route of the API needs: the project that is meant, and what reads of Azure share."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Path, Query, Request

from labelbridge import _submit
from labelbridge.console.deps import settings_of
from labelbridge.console.problems import responses
from labelbridge.console.reading import Reading
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectRef, arm_id

PREFIX = "/api/v1"


def project_of(
    request: Request,
    project: Annotated[str, Path(description="Name of the Language project.", examples=["tickets"])],
    language_resource: Annotated[
        str | None,
        Query(description="ARM id of the project's Language resource; the console's own if not given."),
    ] = None,
) -> ProjectRef:
    """The project in the path; `project_unknown` for a name that Language could not have."""
    resource = language_resource or settings_of(request).language_resource
    if resource is None:
        raise LabelbridgeError("settings_invalid", "language_resource: needed to find a project by its name")
    try:
        resource = arm_id(resource)
    except ValueError as error:
        raise LabelbridgeError("input_invalid", f"language_resource: {error}") from error
    return _submit.reference(resource, project)


def about_project(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the errors of a route about one project."""
    return responses("project_unknown", "registry_unreachable", *codes)


def reading_of(request: Request) -> Reading:
    """What the console reads of Azure."""
    found: Reading = request.app.state.reading
    return found


def operation_path(request: Request, project: ProjectRef, operation_id: str) -> str:
    """Path of an operation; names the Language resource if the caller did."""
    path = f"{PREFIX}/projects/{quote(project.name)}/operations/{quote(operation_id)}"
    given = request.query_params.get("language_resource")
    return f"{path}?language_resource={quote(given, safe='')}" if given else path


Project = Annotated[ProjectRef, Depends(project_of)]
Reads = Annotated[Reading, Depends(reading_of)]
