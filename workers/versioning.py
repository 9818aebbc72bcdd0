"""How a worker runs workflows: in which sandbox, with which converter, as which version of a deployment.

Prevents a replay test that proves nothing: what runs workflows in production and what replays saved
histories is made here, from the same parts. And a version that nobody can tell apart: deployment and build
id come from the settings, both or neither.
"""

from collections.abc import Sequence

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxRestrictions

import workflows
from labelbridge.converter import PLAIN
from labelbridge.settings import TemporalSettings
from workers.behaviour import BehaviourRunner
from workers.whole_tasks import WholeTaskRunner

PASSTHROUGH = ("labelbridge", "pydantic", "pydantic_core", "annotated_types", "structlog", "opentelemetry")
"""Modules that the workflow sandbox shares with the process: pure, or without state of a workflow.
Loading pydantic anew for each run costs half a second; structlog loaded anew would lose its handlers."""


def sandbox(passthrough: Sequence[str] = PASSTHROUGH, *, versioned: bool = False) -> WholeTaskRunner:
    """What runs workflow code; `versioned` where the worker belongs to a deployment."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*passthrough)
    if versioned:
        return WholeTaskRunner(restrictions=restrictions, runner_class=BehaviourRunner)
    return WholeTaskRunner(restrictions=restrictions)


def deployment(temporal: TemporalSettings) -> WorkerDeploymentConfig | None:
    """Which version of which deployment a worker is; None without worker versioning."""
    if temporal.deployment_name is None or temporal.build_id is None:
        return None
    version = WorkerDeploymentVersion(deployment_name=temporal.deployment_name, build_id=temporal.build_id)
    # The default is only for Temporal's check at start: each class says its own (see `BehaviourRunner`).
    return WorkerDeploymentConfig(
        version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


def replayer(those: Sequence[type] = workflows.ALL, converter: DataConverter = PLAIN) -> Replayer:
    """Replays histories as a worker would that has these workflows, and not in its cache."""
    return Replayer(workflows=those, workflow_runner=sandbox(), data_converter=converter)
