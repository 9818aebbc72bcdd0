"""Somebody in a portal: changes made past Labelbridge, by Azure's own APIs, as an operator may make them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from azure.storage.blob import ContainerClient

from labelbridge.local.api import LABELING_VERSION, segment
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from tests.operations.rehearsal import Rehearsal, eventually


async def at_rest(r: Rehearsal) -> None:
    """Wait until the project's entity has looked at what its last operation left."""

    async def look() -> bool | None:
        return True if (await r.bridge.status(r.ref)).running is None else None

    await eventually(look, "the entity is never at rest")


class Hand:
    """The hand of an operator on one project; each method blocks."""

    def __init__(self, r: Rehearsal) -> None:
        """Sign in."""
        self.r = r
        self._operator = r.stack.tenant.caller("operator")
        blobs = r.stack.tenant.blobs("operator", RECORDS_ACCOUNT)
        self._records: ContainerClient = blobs.get_container_client(RECORDS_CONTAINER)
        self._record = f"projects/{r.ref.key}/record.json"

    async def do(self, change: Callable[..., None], *arguments: Any, **options: Any) -> None:
        """Make a change in a thread."""
        await asyncio.to_thread(change, *arguments, **options)

    def settings(self, **changes: Any) -> None:
        """Change the Language project's settings."""
        endpoint, path = self.r.stack.tenant.language_endpoint, f"/{segment(self.r.ref.name)}"
        body = self._operator.language("GET", endpoint, path).body
        kept = ("projectName", "projectKind", "storageInputContainerName", "language", "multilingual")
        patch = {key: body[key] for key in kept} | {"settings": {**body["settings"], **changes}}
        self._operator.language("PATCH", endpoint, path, patch)

    def job(self, action: str) -> None:
        """Pause or resume the labeling job."""
        self._operator.arm("POST", f"{self.r.evidence.job.resource_id}/{action}", version=LABELING_VERSION)

    def delete_job(self) -> None:
        """Delete the labeling job: it never comes back."""
        url = self.r.evidence.job.resource_id
        self._operator.arm("DELETE", url, version=LABELING_VERSION, expect=(200, 202, 204))

    def delete_claim(self) -> None:
        """Delete the claim's blob."""
        self._records.delete_blob(self.r.evidence.job.claim_key)

    def forge_claim(self) -> None:
        """Let another project hold the claim."""
        claim = self.r.evidence.claim()
        claim["project"]["name"] = "somebody-else"
        self._records.upload_blob(self.r.evidence.job.claim_key, json.dumps(claim), overwrite=True)

    def record(self) -> bytes:
        """The record as it is stored."""
        return self._records.download_blob(self._record).readall()

    def overwrite_record(self, data: bytes) -> None:
        """Put something else in the record's place."""
        self._records.upload_blob(self._record, data, overwrite=True)
