"""What a labeling job's `properties` must be, and what of them may change afterwards.

Field names and values are those of the 2024-04-01-preview `labelingJobs` API; which combinations
the service refuses is partly our reading of the labeling guide, and said so where it is.
"""

from typing import Any

from labelbridge.local.azure_error import AzureError
from labelbridge.local.http import JsonObject
from labelbridge.local.labeling_store import Job

_SWITCH = ("Enabled", "Disabled")
_PASSED_ON = (
    "identity",
    "componentId",
    "computeId",
    "notificationSetting",
    "secretsConfiguration",
    "services",
)


def refused(message: str, target: str | None = None) -> AzureError:
    """400 in Azure ML's words."""
    return AzureError(400, "UserError", message, target=target)


def checked(properties: JsonObject) -> dict[str, Any]:
    """The writable properties with their defaults.

    Raises:
        AzureError: 400, naming the property.
    """
    if properties.get("jobType") != "Labeling":
        raise refused("jobType must be 'Labeling'.", "jobType")
    media = _object(properties, "labelingJobMediaProperties")
    if media.get("mediaType") != "Text":
        raise refused("The local Azure labels text only: mediaType must be 'Text'.", "mediaType")
    if media.get("annotationType") not in ("Classification", "NamedEntityRecognition"):
        raise refused(
            "annotationType must be 'Classification' or 'NamedEntityRecognition'.", "annotationType"
        )
    data = _object(properties, "dataConfiguration")
    refresh = data.get("incrementalDataRefresh", "Disabled")
    if not isinstance(data.get("dataId"), str) or refresh not in _SWITCH:
        raise refused(
            "dataConfiguration needs a dataId; incrementalDataRefresh is Enabled or Disabled.", "dataId"
        )
    kept = {name: properties[name] for name in _PASSED_ON if properties.get(name) is not None}
    return {
        "jobType": "Labeling",
        "displayName": properties.get("displayName") or "",
        "description": properties.get("description") or "",
        "tags": dict(_object(properties, "tags")),
        "properties": dict(_object(properties, "properties")),
        "experimentName": properties.get("experimentName") or "Default",
        "isArchived": bool(properties.get("isArchived", False)),
        **kept,
        "dataConfiguration": {"dataId": data["dataId"], "incrementalDataRefresh": refresh},
        "jobInstructions": {"uri": _instructions(properties)},
        "labelCategories": _categories(
            _object(properties, "labelCategories"), single=media["annotationType"] == "Classification"
        ),
        "labelingJobMediaProperties": {"mediaType": "Text", "annotationType": media["annotationType"]},
        "mlAssistConfiguration": _ml_assist(_object(properties, "mlAssistConfiguration")),
    }


def refuse_fixed_changes(job: Job, wanted: dict[str, Any], *, labels_may_change: bool) -> None:
    """Type and dataset are fixed after initialization; labels, instructions and the rest can change.

    Raises:
        AzureError: 400 for the type or the dataset; 409 for label categories of a job that is not
            paused (the portal asks for a pause first; that ARM refuses it is our choice).
    """
    before = job.properties
    if wanted["labelingJobMediaProperties"] != before["labelingJobMediaProperties"] or _multi(
        wanted
    ) != _multi(before):
        raise refused("The type of a labeling project cannot be changed.", "labelingJobMediaProperties")
    old, new = before["dataConfiguration"]["dataId"], wanted["dataConfiguration"]["dataId"]
    if old.casefold() != new.casefold():
        raise refused("The dataset of a labeling project cannot be changed.", "dataConfiguration")
    if wanted["labelCategories"] != before["labelCategories"] and not labels_may_change:
        raise AzureError(
            409, "LabelingNotPaused", "Pause the labeling project to change its label categories."
        )


def _multi(properties: dict[str, Any]) -> bool:
    if properties["labelingJobMediaProperties"]["annotationType"] != "Classification":
        return False
    return any(one["multiSelect"] == "Enabled" for one in properties["labelCategories"].values())


def _object(properties: JsonObject, name: str) -> JsonObject:
    value = properties.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused(f"{name} must be an object.", name)
    return value


def _instructions(properties: JsonObject) -> str | None:
    uri = _object(properties, "jobInstructions").get("uri")
    if uri is not None and not isinstance(uri, str):
        raise refused("jobInstructions.uri must be a string.", "jobInstructions")
    return uri


def _categories(found: JsonObject, *, single: bool) -> dict[str, Any]:
    if not found or (single and len(found) != 1):
        raise refused(
            "Classification has exactly one label category, entities at least one.", "labelCategories"
        )
    whole = {key: _category(key, value) for key, value in found.items()}
    names = [one["displayName"] for category in whole.values() for one in category["classes"].values()]
    if len(set(names)) != len(names):
        raise refused("Two labels have the same display name.", "labelCategories")
    return whole


def _category(key: str, value: Any) -> dict[str, Any]:
    classes = value.get("classes") if isinstance(value, dict) else None
    if not isinstance(classes, dict) or not classes:
        raise refused(f"Label category '{key}' has no classes.", "labelCategories")
    select = value.get("multiSelect", "Disabled")
    if select not in _SWITCH:
        raise refused("multiSelect is Enabled or Disabled.", "labelCategories")
    shaped = {name: _class(name, one) for name, one in classes.items()}
    return {"displayName": value.get("displayName") or key, "multiSelect": select, "classes": shaped}


def _class(name: str, value: Any) -> dict[str, Any]:
    one = value if isinstance(value, dict) else {}
    return {"displayName": one.get("displayName") or name, "subclasses": one.get("subclasses") or {}}


def _ml_assist(found: JsonObject) -> dict[str, Any]:
    if found.get("mlAssist", "Disabled") == "Disabled":
        return {"mlAssist": "Disabled"}
    bindings = ("inferencingComputeBinding", "trainingComputeBinding")
    if found["mlAssist"] != "Enabled" or not all(found.get(name) for name in bindings):
        raise refused("mlAssist 'Enabled' needs both compute bindings.", "mlAssistConfiguration")
    return {"mlAssist": "Enabled", **{name: found[name] for name in bindings}}
