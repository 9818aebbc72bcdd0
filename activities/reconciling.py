"""Looking at projects beside their records: one closely, the fleet by lists; and asking entities to act.

Each step may run twice: looking changes nothing, and an entity that is asked twice has one reconciliation
that finds nothing.
"""

from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities._timing import timing_of
from labelbridge import names
from labelbridge.azure.session import AzureSession
from labelbridge.model import OURSELVES, ProjectRef, ReconcileRequest, Submission
from labelbridge.model.steps import EntityState
from labelbridge.model.sweeps import Asking, DriftOrder, DriftSeen, Survey
from labelbridge.reconciling import Reconciler
from labelbridge.registry import Registry
from labelbridge.settings import Settings


class Reconciling:
    """Steps of reconciliations and sweeps."""

    def __init__(self, session: AzureSession, registry: Registry, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._reconciler = Reconciler(session, registry, settings)
        self._throttling = session.throttling
        self._settings = settings

    @activity.defn(name="find_drift")
    async def find_drift(self, order: DriftOrder) -> DriftSeen:
        """How a project differs from its record now. May run twice: it only reads.

        A reconciliation begins with it: from here on somebody serves the queue of its Language resource.
        """
        if self._throttling is not None:
            await self._throttling.meet(order.project)
        seen = await self._reconciler.look(order.project, order.policy)
        timing = timing_of(self._settings)
        return DriftSeen(timing=timing, stored=seen.stored, known=seen.known, drift=seen.drift)

    @activity.defn(name="survey")
    async def survey(self) -> Survey:
        """Which projects seem to differ from their records. May run twice: it only reads."""
        return await self._reconciler.survey()

    @activity.defn(name="ask_to_reconcile")
    async def ask_to_reconcile(self, asking: Asking) -> bool:
        """Ask a project's entity to reconcile, starting it if it is gone; False if that is not needed.

        May run twice: a reconciliation that waits is joined, and one more finds nothing. An entity
        that runs looks after its own interrupted operation, so it is not asked for that.
        """
        project, client = asking.suspect.project, activity.client()
        if asking.suspect.interrupted and await _runs(project):
            return False
        submission = Submission(
            request_id=f"{asking.sweep}/{project.key}"[-200:],
            actor=OURSELVES,
            submitted_at=datetime.now(UTC),
            request=ReconcileRequest(),
        )
        await client.start_workflow(
            names.ENTITY_WORKFLOW,
            EntityState(project=project),
            id=project.workflow_id,
            task_queue=self._settings.temporal.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=names.SUBMIT_LATER,
            start_signal_args=[submission],
        )
        return True


async def _runs(project: ProjectRef) -> bool:
    try:
        entity = await activity.client().get_workflow_handle(project.workflow_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return entity.status is WorkflowExecutionStatus.RUNNING
