"""The two gates: what lets people label in a studio.

An order to a gate may run twice because opening or shutting says an absolute state; it is always
sent, never skipped because of what was read before (a read may be stale), and always read back.
"""

import asyncio
from datetime import UTC, datetime

from temporalio import activity

from labelbridge.azure.language import Keep
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.model import GateState, JobRef, ProjectRef, Studio
from labelbridge.model.steps import GateOrder
from labelbridge.settings import Settings

_PAUSES_BETWEEN_LOOKS = (0.1, 0.2, 0.4)
"""Seconds; together well within any attempt's time."""


class Gates:
    """Steps on the gates."""

    def __init__(self, session: AzureSession, settings: Settings) -> None:
        """Clients are injected; nothing is global."""
        self._session = session
        self._settings = settings

    @activity.defn(name="set_gate")
    async def set_gate(self, order: GateOrder) -> datetime:
        """Open or shut a gate and read it back; returns when it was seen so (UTC).

        May run twice: the order names an absolute state. Raises `source_open` (final for this order)
        if the gate of the other studio is open and must be shut first, `job_gone` or `project_unknown`
        if there is nothing to open or shut.
        """
        if order.open:
            await self._refuse_two_open(order)
        await self._send(order)
        await self._read_back(order)
        return datetime.now(UTC)

    @activity.defn(name="read_gates")
    async def read_gates(self, order: GateOrder) -> GateState:
        """Both gates at one moment. May run twice: it only reads."""
        return GateState(
            language_open=await self._is_open(Studio.LANGUAGE, order.project, order.job),
            azureml_open=await self._is_open(Studio.AZUREML, order.project, order.job),
        )

    async def _read_back(self, order: GateOrder) -> None:
        """Look until the gate is seen as it was ordered; `not_yet` if the last look saw it otherwise.

        A gate is often a moment late. A few looks are cheaper than another attempt, which sends again;
        a gate that is later than they last is ordered anew.
        """
        for pause in (*_PAUSES_BETWEEN_LOOKS, None):
            if await self._is_open(order.studio, order.project, order.job) is order.open:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        wanted = "open" if order.open else "shut"
        raise LabelbridgeError("not_yet", f"{order.studio.display_name} does not read back as {wanted} yet.")

    async def _refuse_two_open(self, order: GateOrder) -> None:
        other = order.studio.other
        if await self._is_open(other, order.project, order.job):
            raise LabelbridgeError(
                "source_open",
                f"{other.display_name} is open and must be shut before {order.studio.display_name} opens.",
            )

    async def _send(self, order: GateOrder) -> None:
        if order.studio is Studio.AZUREML:
            if order.job is None:
                raise LabelbridgeError("not_connected")
            await self._send_to_azureml(order.job, open_=order.open)
            return
        path: str | Keep | None = Keep.KEEP
        if order.unlink:
            path = None
        elif order.link and order.job is not None:
            path = self._settings.azure.aml_project_path.format(job_resource_id=order.job.resource_id)
        language = self._session.language(order.project.language_resource)
        await language.set_gate(order.project.name, locked=not order.open, aml_project_path=path)

    async def _send_to_azureml(self, job: JobRef, *, open_: bool) -> None:
        workspace = self._session.workspace(job.workspace)
        try:
            await (workspace.resume if open_ else workspace.pause)(job.name)
        except LabelbridgeError as error:
            if error.data.get("status") == "404" and await workspace.job(job.name) is None:
                raise LabelbridgeError(
                    "job_gone", f"The labeling job {job.name} is gone from its workspace."
                ) from error
            raise

    async def _is_open(self, studio: Studio, project: ProjectRef, job: JobRef | None) -> bool | None:
        """Whether people can label; None if the studio has no such project or job."""
        if studio is Studio.LANGUAGE:
            found = await self._session.language(project.language_resource).project(project.name)
            return None if found is None else not found.locked
        if job is None:
            return None
        labeling_job = await self._session.workspace(job.workspace).job(job.name)
        return None if labeling_job is None else not labeling_job.gated
