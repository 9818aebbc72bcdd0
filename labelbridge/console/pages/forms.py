"""What each act's form says, as the request that it means.

Prevents a form that means something else than the command line: fields become the same requests, and
what is wrong with them is refused with the same code. Values are plain text, as a form sends them, and
go unchanged from the first step of an act to its last.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labelbridge import _submit
from labelbridge.client import Labelbridge
from labelbridge.console.auth.people import Role
from labelbridge.errors import LabelbridgeError
from labelbridge.model import (
    ConnectRequest,
    DisconnectRequest,
    ProjectStatus,
    ReconcileRequest,
    Request,
    Studio,
    SwitchRequest,
    SyncRequest,
    TrainRequest,
)

Values = Mapping[str, str]
Summary = tuple[tuple[str, str], ...]

_POLICIES = {
    "active": "labels of the studio that is being left win",
    "refuse": "stop, and change nothing",
    "union": "unite the classes of both",
}
_SPLITS = {
    "": "leave documents in Train and Test as they are",
    "keep": "as in Language; new documents by chance",
    "service": "all into Train; the service splits them",
}


@dataclass(frozen=True)
class Form:
    """One act: its fields, the request they make, and how its pages speak of it."""

    name: str
    title: str
    start: str
    """What the button that starts it says."""
    build: Callable[[Values, ProjectStatus, Labelbridge], Request]
    summary: Callable[[Values, ProjectStatus], Summary]
    defaults: Callable[[ProjectStatus, Labelbridge], Values]
    role: Role = Role.OPERATOR
    typed: bool = False
    """The project's name must be typed: it cannot be taken back."""
    asks_first: Callable[[ProjectStatus], bool] = field(default=lambda _: False)
    """True if there is something to decide before anything can be looked at."""
    after: str = "labeling"
    """The page that shows the operation."""


def chosen(values: Values, name: str, choices: Mapping[str, str]) -> str:
    """A choice in words."""
    return choices.get(values.get(name, ""), values.get(name, ""))


def _whole(values: Values, name: str, otherwise: int) -> int | str:
    """A number as it was typed: the request's own check says what is wrong with it."""
    return values.get(name, "").strip() or otherwise


def _into_language(values: Values) -> dict[str, object]:
    return {
        "policy": values.get("policy") or "active",
        "split": values.get("split") or None,
        "test_percent": _whole(values, "test_percent", 20),
        "allow_quarantine": bool(values.get("allow_quarantine")),
    }


def _into_language_words(values: Values) -> Summary:
    rows = [
        ("Documents that both studios changed", chosen({"policy": "active", **values}, "policy", _POLICIES)),
        ("Train and Test", chosen(values, "split", _SPLITS)),
    ]
    if values.get("split") == "keep":
        rows.append(("New documents into Test", f"{values.get('test_percent') or 20} %"))
    if values.get("allow_quarantine"):
        rows.append(("Rows that cannot be read", "go to quarantine; the rest is carried"))
    return tuple(rows)


# Connect


def _connect(values: Values, _: ProjectStatus, bridge: Labelbridge) -> Request:
    workspace = values.get("workspace", "").strip()
    if not workspace:
        raise LabelbridgeError("input_invalid", "workspace: choose the Azure Machine Learning workspace.")
    vendor = values.get("vendor", "").strip() if values.get("vendor_on") else ""
    if values.get("vendor_on") and not vendor:
        raise LabelbridgeError("input_invalid", "vendor: name the company, or turn vendor labeling off.")
    return _submit.noun(
        ConnectRequest,
        job=_submit.job_reference(workspace, values.get("job", "").strip()),
        datastore=values.get("datastore", "").strip() or None,
        instructions=values.get("instructions", "").strip() or None,
        vendor=vendor or None,
    )


def _connect_words(values: Values, _: ProjectStatus) -> Summary:
    return (
        ("Workspace", values.get("workspace", "")),
        ("Labeling project to create", values.get("job", "")),
        ("Datastore", values.get("datastore") or "the one that reaches the project's container"),
        ("Vendor", values.get("vendor", "") if values.get("vendor_on") else "none: your own people label"),
        ("Instructions", values.get("instructions") or "none"),
    )


def _connect_defaults(status: ProjectStatus, bridge: Labelbridge) -> Values:
    return {"workspace": bridge.settings.workspace or "", "job": ""}


# Switch, sync, reconcile


def _switch(values: Values, _: ProjectStatus, __: Labelbridge) -> Request:
    return _submit.noun(SwitchRequest, to=values.get("to", ""), **_into_language(values))


def _switch_words(values: Values, status: ProjectStatus) -> Summary:
    target = values.get("to", "")
    name = Studio(target).display_name if target in list(Studio) else target
    rows: Summary = (("From", status.active.display_name), ("To", name))
    return rows + (_into_language_words(values) if target == Studio.LANGUAGE.value else ())


def _switch_defaults(status: ProjectStatus, _: Labelbridge) -> Values:
    return {"to": status.active.other.value, "test_percent": "20"}


def _sync(values: Values, _: ProjectStatus, __: Labelbridge) -> Request:
    return _submit.noun(SyncRequest, merge=values.get("merge") == "merge", **_into_language(values))


def _sync_words(values: Values, status: ProjectStatus) -> Summary:
    if status.active is Studio.LANGUAGE:
        return (("Labels", "a snapshot of Language's labels is taken; nothing is imported"),)
    merge = values.get("merge") == "merge"
    what = "the merge of both studios' labels" if merge else "exactly Azure ML's labels"
    return (("Language gets", what), *_into_language_words(values))


def _reconcile(values: Values, _: ProjectStatus, __: Labelbridge) -> Request:
    return _submit.noun(ReconcileRequest, policy=values.get("policy") or None)


_RECONCILE = {
    "": "as the worker's settings say",
    "close": "put right what can be put right",
    "report": "only say what differs",
}


def _reconcile_words(values: Values, _: ProjectStatus) -> Summary:
    return (("Differences", chosen(values, "policy", _RECONCILE)),)


# Train


def _train(values: Values, _: ProjectStatus, __: Labelbridge) -> Request:
    origin = values.get("origin", "latest")
    labels = values.get("snapshot", "").strip() if origin == "snapshot" else origin
    if not labels:
        raise LabelbridgeError("input_invalid", "snapshot: choose the snapshot to train on.")
    return _submit.noun(
        TrainRequest,
        model=values.get("model", "").strip(),
        labels=labels,
        train_percent=_whole(values, "train_percent", 80),
        split=values.get("split") or None,
        deployment=values.get("deployment", "").strip() or None,
        allow_quarantine=bool(values.get("allow_quarantine")),
    )


ORIGINS = {
    "latest": "latest labels of the active studio",
    "as-is": "labels as they are in Language",
    "snapshot": "a snapshot",
}


def _train_words(values: Values, _: ProjectStatus) -> Summary:
    origin = chosen({"origin": "latest", **values}, "origin", ORIGINS)
    if values.get("origin") == "snapshot":
        origin = f"snapshot {values.get('snapshot', '')[:12]}"
    rows = [
        ("Model", values.get("model", "")),
        ("Label origin", origin),
        ("Train and Test", chosen(values, "split", _SPLITS)),
    ]
    if values.get("split") != "keep":
        rows.append(("Training set", f"{values.get('train_percent') or 80} %"))
    rows.append(("Deployment", values.get("deployment") or "none"))
    return tuple(rows)


# Disconnect


def _disconnect(values: Values, _: ProjectStatus, __: Labelbridge) -> Request:
    return _submit.noun(
        DisconnectRequest,
        labels=values.get("labels") or None,
        policy=values.get("policy") or "active",
        allow_quarantine=bool(values.get("allow_quarantine")),
    )


LABELS = {
    "sync": "carried into Language first",
    "discard": "discarded; they are kept only as a snapshot",
    "": "Language is active: nothing has to be carried",
}


def _disconnect_words(values: Values, status: ProjectStatus) -> Summary:
    return (
        ("Labeling project that is given up for ever", status.job.name if status.job else ""),
        ("Azure ML's labels", chosen(values, "labels", LABELS)),
    )


def _azureml_active(status: ProjectStatus) -> bool:
    return status.connected and status.active is Studio.AZUREML


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form(
            "connect", "Connect to Azure Machine Learning", "Connect, permanently", _connect, _connect_words,
            _connect_defaults, role=Role.OWNER, typed=True, asks_first=lambda _: True,
        ),
        Form("switch", "Switch labeling", "Switch", _switch, _switch_words, _switch_defaults),
        Form("sync", "Sync labels", "Sync", _sync, _sync_words, lambda *_: {"test_percent": "20"}),
        Form(
            "train", "Start a training job", "Train", _train, _train_words,
            lambda *_: {"origin": "latest", "train_percent": "80"}, asks_first=lambda _: True, after="training",
        ),
        Form(
            "disconnect", "Disconnect from Azure Machine Learning", "Disconnect, permanently", _disconnect,
            _disconnect_words, lambda *_: {}, role=Role.OWNER, typed=True, asks_first=_azureml_active,
        ),
        Form("reconcile", "Compare with the record", "Compare", _reconcile, _reconcile_words, lambda *_: {}),
    )
}  # fmt: skip
"""All acts but cancel, which asks nothing."""
