"""Names that client and worker must agree on. Changing one breaks running workflows."""

ENTITY_WORKFLOW = "labelbridge.project"
SUBMIT = "submit"
SUBMIT_LATER = "submit_later"
STATUS = "status"
PROGRESS = "progress"
PREFLIGHT_WORKFLOW = "labelbridge.preflight"
MOVING = "moving"
"""Error type of a request that reached an entity about to continue as new: repeat it."""
SYNCS_BEGUN = "LabelbridgeSyncsBegun"
"""Memo of the entity: how many syncs have begun; a caller reads it before it asks for one."""
OPERATION_WORKFLOWS = {
    "connect": "labelbridge.connect",
    "switch": "labelbridge.switch",
    "sync": "labelbridge.sync",
    "train": "labelbridge.train",
    "import": "labelbridge.import",
    "disconnect": "labelbridge.disconnect",
    "recover": "labelbridge.recover",
}
STATE_ATTRIBUTE = "LabelbridgeState"
ACTIVE_ATTRIBUTE = "LabelbridgeActive"
KIND_ATTRIBUTE = "LabelbridgeKind"
