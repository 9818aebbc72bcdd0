"""A witness for a project that connects more than once, and for people who meddle.

Prevents evidence that stops at the first labeling job: a connect that was undone leaves its job's name
claimed for ever, so a long life has several jobs. Faults strike the witness too: it asks again.
"""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError

from labelbridge.local.api import LABELING_VERSION, CallError
from labelbridge.local.demo_evidence import RECORDS_CONTAINER, Evidence
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.labelers import Labelers
from labelbridge.local.seed import ADMIN, RECORDS_ACCOUNT, SeededProject
from labelbridge.local.stack import Stack
from labelbridge.model import JobRef, Studio, arm_name
from tests.faults.recording import Claim, Labels
from tests.faults.sampler import TROUBLE, Pace
from tests.faults.witness import StudioLog, Witness

SAMPLE = Pace(least=1.0, most=6.0, share=40.0)
"""Of the sampler's looks, for each of many projects at once."""
PACE = 1.2
"""Seconds that a labeler thinks."""


class CampaignWitness(Witness):
    """Watches one project and all its labeling jobs; the last one is the one that is connected."""

    pace = SAMPLE

    def __init__(
        self, stack: Stack, log: StudioLog, project: SeededProject, folder: ProjectFolder, path: Path
    ) -> None:
        self._stack = stack
        self._folder = folder
        self.jobs: list[JobRef] = []
        super().__init__(stack, log, project, folder, self._job(project, 0), path)
        self.labelers = Labelers.of(
            stack.tenant, project, path / f"{project.ref.name}.jsonl", people=("ann",), pace=PACE, job=None
        )

    def _job(self, project: SeededProject, number: int) -> JobRef:
        return JobRef(workspace=self._stack.tenant.workspace, name=f"job-{project.ref.name}-{number}")

    def next_job(self) -> JobRef:
        """A labeling job whose name nobody has used; people know of it from now on."""
        with self._looking:  # what a look reads of one job must not be noted of the next
            job = self._job(self.project, len(self.jobs) + 1)
            self.jobs.append(job)
            self.job = job
            self.evidence = Evidence(
                self._stack.tenant, self.project, self._folder, job, self._stack.offset_unit
            )
            self.labelers.job = job
        return job

    def _look(self, *, sampled: bool) -> None:
        """As ever; without a job there is only Language to look at."""
        super()._look(sampled=sampled)
        for job in self.jobs[:-1]:
            found = self._blob(job.claim_key)
            if found and not any(claim.job == job.name for claim in self._claims):
                self._claim_of(job, found[0])

    def _claim_of(self, job: JobRef, holder: dict[str, Any]) -> None:
        self._claims.append(Claim(time.time(), job.name, holder["project"]["name"], holder["operation_id"]))

    def _subjects(self) -> dict[str, Studio]:
        account = arm_name(self.project.ref.language_resource)
        found = {f"{account}/{self.project.ref.name}".casefold(): Studio.LANGUAGE}
        return found | {job.resource_id.casefold(): Studio.AZUREML for job in self.jobs}

    def _jobs_before(self) -> dict[str, Labels]:
        found: dict[str, Labels] = {}
        for job in self.jobs[:-1]:
            before = Evidence(self._stack.tenant, self.project, self._folder, job, self._stack.offset_unit)
            with suppress(CallError):  # a connect that was undone early made none
                found[job.resource_id.casefold()] = dict(before.studio_labels(Studio.AZUREML))
        return found

    # People who meddle.

    def resume_job(self) -> bool:
        """Somebody resumes the labeling job in the portal; False if Azure refused."""
        url = f"{self.job.resource_id}/resume"
        reply = self._stack.tenant.caller(ADMIN).arm("POST", url, version=LABELING_VERSION, expect=None)
        return reply.status < 300

    def export_job(self) -> bool:
        """Somebody exports the labels in the portal, for themselves; False if Azure refused."""
        url = f"{self.job.resource_id}/exportLabels"
        admin = self._stack.tenant.caller(ADMIN)
        reply = admin.arm("POST", url, {"format": "Dataset"}, version=LABELING_VERSION, expect=None)
        return reply.status < 300

    def meddle_with_record(self, *, unlock: bool) -> bool:
        """Somebody edits the record's blob, as the portal's editor does; False if it changed meanwhile."""
        name = f"projects/{self.project.ref.key}/record.json"
        found = self._blob(name)
        if found is None:
            return False
        record, etag = found
        record["updated_by"] = "somebody"
        if unlock:
            record["transition"] = None
        container = self._stack.tenant.blobs(ADMIN, RECORDS_ACCOUNT).get_container_client(RECORDS_CONTAINER)
        try:
            container.upload_blob(
                name,
                json.dumps(record).encode(),
                overwrite=True,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except ResourceModifiedError:
            return False
        return True

    # Labelers.

    async def begin_work(self) -> None:
        """People sit down, whatever the weather."""
        await steadily(self.labelers.start)

    async def end_work(self) -> None:
        """Everybody puts the pen down."""
        await asyncio.to_thread(self.labelers.stop)


async def steadily(call: Any, patience: float = 120.0) -> Any:
    """Repeat a read of the harness while faults strike it."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return await asyncio.to_thread(call)
        except TROUBLE:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.3)
