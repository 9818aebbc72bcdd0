"""What a person can do in Azure's portals past Labelbridge. Blocking."""

import time
from collections.abc import Callable, Mapping

from labelbridge.local.api import LABELING_VERSION, Caller
from labelbridge.local.seed import ADMIN
from labelbridge.local.studios import is_open
from labelbridge.model import JobRef, Studio
from tests.faults.witness import Witness

PATIENCE = 30.0
"""Seconds until a gate is taken for stuck; the local Azure's are two seconds late at most."""


def resume_job(witness: Witness) -> None:
    """People may label in Azure ML."""
    caller = witness.tenant.caller(ADMIN)
    caller.arm("POST", f"{witness.job.resource_id}/resume", version=LABELING_VERSION)


def lock_language(witness: Witness) -> None:
    """People may not label in Language any more, once that has taken effect."""
    name = f"/{witness.project.ref.name}"
    caller, endpoint = witness.tenant.caller(ADMIN), witness.tenant.language_endpoint
    body = caller.language("GET", endpoint, name).body
    kept = (
        "projectName",
        "projectKind",
        "storageInputContainerName",
        "language",
        "multilingual",
        "description",
    )
    changed = {key: body[key] for key in kept if key in body}
    changed["settings"] = {**(body.get("settings") or {}), "isLabelingLocked": True}
    caller.language("PATCH", endpoint, name, changed)
    deadline = time.monotonic() + PATIENCE
    while is_open(witness.evidence.studios[Studio.LANGUAGE]):
        assert time.monotonic() < deadline, "Language does not shut"
        time.sleep(0.1)


def swap_gates(witness: Witness) -> None:
    """Language is shut and Azure ML opened: at no moment are both open."""
    lock_language(witness)
    resume_job(witness)


def unarchive(caller: Caller, job: JobRef) -> None:
    """Take a retired labeling job out of the archive, else as it was read."""
    properties = caller.arm("GET", job.resource_id, version=LABELING_VERSION).body["properties"]
    changed = {"properties": {**properties, "isArchived": False}}
    caller.arm("PUT", job.resource_id, changed, version=LABELING_VERSION)


def take_up_again(witness: Witness) -> None:
    """People may label in the retired labeling job, beside Language."""
    unarchive(witness.tenant.caller(ADMIN), witness.job)
    resume_job(witness)
    deadline = time.monotonic() + PATIENCE
    while not is_open(witness.evidence.studios[Studio.AZUREML]):
        assert time.monotonic() < deadline, "the labeling job does not open"
        time.sleep(0.1)


def lose_the_claim(witness: Witness) -> None:
    """The blob that says whose the labeling job is, is deleted."""
    witness.delete_claim()


DRIFTS: Mapping[str, Callable[[Witness], None]] = {
    "gates": swap_gates,
    "claim": lose_the_claim,
    "retired": take_up_again,
}
"""What a project may have to be reconciled after."""
OPENS_A_SECOND = ("retired",)
"""Those that open one studio beside the other, which nobody can prevent."""
