"""Which steps stand in a Language resource's queue, where it is, and which requests never wait.

Pure, because workflows choose by it: the same step of the same project always has the same queue.
Prevents two failures: a gate that stays open because its closing waits behind a queue of exports,
and two versions of a worker that look for each other in different queues.
"""

import hashlib

from labelbridge.model import ProjectRef, Studio

TAKE_TURN = "take_turn"
"""The activity on a resource's queue: done when it is this project's turn."""
WAITING = "waiting for the quota of the Language resource"
"""What the timeline says meanwhile."""
BEGINS = frozenset(
    {"export_labels", "verify_language", "start_import", "start_training", "deploy_model", "delete_project"}
)
"""Steps that begin work in Language: one request each that counts as POST."""
AT_ONCE = frozenset({"set_gate", "read_gates", "inspect", "cancel_training", "cancel_trainings"})
"""Steps that are never held up: gates are safety, a job that is cancelled frees quota, and whoever asks
for something waits for `inspect`. Their requests are counted all the same, so that others wait longer."""
URGENT = 1
"""Temporal's priority of a turn for an undo, or after the commit: people wait, or nobody can label."""


def takes_turn(step: str, order: object) -> bool:
    """True if a step begins work in Language: an export of Azure ML does not."""
    return step in BEGINS and getattr(order, "studio", Studio.LANGUAGE) is Studio.LANGUAGE


def turn_queue(task_queue: str, resource_key: str) -> str:
    """Task queue of a resource's turns, beside the workers' own, e.g. `labelbridge/turns/contoso-1a2b3c4d`."""
    return f"{task_queue}/turns/{resource_key}"


def fairness_key(project: ProjectRef) -> str:
    """A project's key among those of its resource. Temporal takes 64 bytes; a project's key may be longer."""
    return hashlib.sha256(project.key.encode()).hexdigest()[:32]
