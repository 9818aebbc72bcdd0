"""Deterministic code only: the project entity and one workflow per operation."""

from workflows.connect import ConnectWorkflow
from workflows.disconnect import DisconnectWorkflow
from workflows.events_delivery import DeliveryWorkflow, EventsRequestWorkflow
from workflows.events_sync import AutoSyncWorkflow
from workflows.fleet import FleetWorkflow
from workflows.import_ import ImportWorkflow
from workflows.preflight import PreflightWorkflow
from workflows.project import ProjectWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.recover import RecoverWorkflow
from workflows.sweep import SweepWorkflow
from workflows.switch import SwitchWorkflow
from workflows.sync import SyncWorkflow
from workflows.train import TrainWorkflow

ALL = (
    ProjectWorkflow,
    ConnectWorkflow,
    SwitchWorkflow,
    SyncWorkflow,
    TrainWorkflow,
    ImportWorkflow,
    DisconnectWorkflow,
    RecoverWorkflow,
    ReconcileWorkflow,
    SweepWorkflow,
    FleetWorkflow,
    PreflightWorkflow,
    DeliveryWorkflow,
    EventsRequestWorkflow,
    AutoSyncWorkflow,
)
"""Every workflow that a worker runs."""
