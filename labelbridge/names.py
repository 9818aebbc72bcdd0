"""Names that client and worker must agree on. Changing one breaks running workflows."""

ENTITY_WORKFLOW = "labelbridge.project"
SUBMIT = "submit"
SUBMIT_LATER = "submit_later"
OUTCOME = "outcome"
"""Query of the entity: what a request was answered."""
STATUS = "status"
PROGRESS = "progress"
PREFLIGHT_WORKFLOW = "labelbridge.preflight"
MOVING = "moving"
"""Error type of a request that reached an entity about to continue as new: repeat it."""
SYNCS_BEGUN = "LabelbridgeSyncsBegun"
"""Memo of the entity: how many syncs have begun; a caller reads it before it asks for one."""
SUMMARY = "LabelbridgeSummary"
"""Memo of the entity: its `ProjectSummary`, which lists of projects are made of."""
OPERATION_WORKFLOWS = {
    "connect": "labelbridge.connect",
    "switch": "labelbridge.switch",
    "sync": "labelbridge.sync",
    "train": "labelbridge.train",
    "import": "labelbridge.import",
    "disconnect": "labelbridge.disconnect",
    "recover": "labelbridge.recover",
    "reconcile": "labelbridge.reconcile",
}
ATTENTION = "attention"
"""Signal from an operation to its entity: a person is needed, or not any more."""
SWEEP_WORKFLOW = "labelbridge.sweep"
SWEEP = "labelbridge/sweep"
"""Id of the Schedule that looks at the whole fleet, and of the workflows that it starts."""
STATE_ATTRIBUTE = "LabelbridgeState"
ACTIVE_ATTRIBUTE = "LabelbridgeActive"
KIND_ATTRIBUTE = "LabelbridgeKind"
ATTENTION_ATTRIBUTE = "LabelbridgeAttention"
"""Of an entity: `none`, or the code of the error for which it needs a person."""
RESOURCE_ATTRIBUTE = "LabelbridgeResource"
WORKSPACE_ATTRIBUTE = "LabelbridgeWorkspace"
"""Of an entity: the own name, in lower case, of its Language resource, and of its workspace or `none`."""
SEARCH_ATTRIBUTES = (
    STATE_ATTRIBUTE,
    ACTIVE_ATTRIBUTE,
    KIND_ATTRIBUTE,
    ATTENTION_ATTRIBUTE,
    RESOURCE_ATTRIBUTE,
    WORKSPACE_ATTRIBUTE,
)
"""All of them are keywords; workers add those that a namespace lacks."""
DELIVERY_WORKFLOW = "labelbridge.events.delivery"
"""Delivers events to one subscriber, for ever."""
DELIVERY = "labelbridge/events/{name}"
"""Id of a subscriber's delivery."""
WAKE = "wake"
"""Signal to a delivery: there is something to look at."""
EVENTS_REQUEST_WORKFLOW = "labelbridge.events.request"
"""One request of a person to the deliveries: a replay, or a test event."""
AUTO_SYNC_WORKFLOW = "labelbridge.auto_sync"
AUTO_SYNC = "labelbridge/auto-sync/{key}"
"""Id of a project's Schedule, and the start of the ids of what it, or an export's event, starts."""
FLEET_WORKFLOW = "labelbridge.fleet"
FLEET = "labelbridge/fleet/{id}"
"""Id of the workflow of one act on many projects. A project's key has a dot, so none is called `fleet`."""
FLEET_STATUS = "fleet_status"
FLEET_STOP = "fleet_stop"
"""Signal to a fleet act: begin nothing more."""
FLEET_DIGEST = "LabelbridgeFleetDigest"
"""Memo of a fleet act: what it was asked, to tell another act that came with the same key."""
STEP_ENDED = "__labelbridge_step_ended"
"""Function from outside the sandbox that workflows tell of a step's end, where this worker traces."""
