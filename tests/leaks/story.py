"""A run that has everything in it which handles a secret, on a stack of its own."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from labelbridge.client import Labelbridge
from labelbridge.errors import LabelbridgeError
from labelbridge.local.seed import DATA_ACCOUNT
from labelbridge.local.stack import Stack
from labelbridge.model import Studio, SwitchRequest, SyncRequest
from tests.events.receiver import Receiver
from tests.leaks.scanner import Place
from tests.operations.rehearsal import Fault, Rehearsal

COMMAND = (sys.executable, "-m", "labelbridge.cli.main")
QUOTED = {
    "signature": "sv=2025-01-05&sig=aB3dQuotedByAzure%2Fx%3D",
    "header": "Bearer quoted.by-azure-in-an-error",
    "account key": "Zm9v" * 21 + "Zg==",
}
"""What Azure's own errors quote in this run, by kind."""
CODE = f"sign-in-code-{secrets.token_hex(12)}"
"""The code of a sign-in: the console must not log the query that brings it."""


class Watched(Stack):
    """A stack whose worker has a subscriber with a secret."""

    subscriber: Mapping[str, Any] | None = None

    def environment(self, principal: str) -> dict[str, str]:
        """The worker's, with its webhook."""
        found = super().environment(principal)
        if principal == "worker" and self.subscriber:
            found["LABELBRIDGE_EVENTS__WEBHOOKS"] = json.dumps({"hook": self.subscriber})
            found["LABELBRIDGE_EVENTS__ALLOW_NETWORKS"] = '["127.0.0.0/8"]'
        return found


class Story:
    """Runs it; `told` is what commands and subscribers were told."""

    def __init__(self, stack: Watched, rehearsal: Rehearsal, receiver: Receiver, folder: Path) -> None:
        self.stack, self.rehearsal, self.receiver, self.folder = stack, rehearsal, receiver, folder
        self.told: list[Place] = []

    async def run(self) -> None:
        """Everything, in an order in which each part has what it needs."""
        r = self.rehearsal
        await asyncio.to_thread(r.labelers.start)
        await r.connect()
        await r.switch(Studio.AZUREML)
        await self.fails()
        await r.bridge.sync(r.ref, timeout=300)
        await r.bridge.train(r.ref, model="m1", timeout=300)
        await asyncio.gather(
            self.refused(), asyncio.to_thread(self.imports), asyncio.to_thread(self.asks_the_console)
        )
        await r.switch(Studio.LANGUAGE)
        await r.bridge.disconnect(r.ref, timeout=300)
        await asyncio.to_thread(r.labelers.stop)
        await self.receiver.has(lambda got: got.types().count("operation.committed") >= 6)
        for number, got in enumerate(self.receiver.got):
            headers = {name: value for name, value in got.headers.items() if name != "webhook-signature"}
            self.told.append(Place(f"delivery {number}", json.dumps([got.event, headers]).encode()))

    async def fails(self) -> None:
        """Azure refuses a step for good, and another for a while, and quotes secrets as it does."""
        r = self.rehearsal
        words = f"Cannot use https://x.example/c?{QUOTED['signature']} with {QUOTED['header']} / {QUOTED['account key']}."
        with Fault(self.stack, f"{r.job_name}/exportLabels", "status", status=400, message=words) as fault:
            with pytest.raises(LabelbridgeError) as caught:
                await (await r.bridge.start(r.ref, SyncRequest())).result(300)
            assert (await asyncio.to_thread(fault.view))["struck"]
        assert "Cannot use https://x.example/c?" in caught.value.message, (
            "Azure's words are not shown any more"
        )
        with Fault(self.stack, f"{r.job_name}/exportLabels", "status", status=503, message=words, times=2):
            await r.bridge.sync(r.ref, timeout=300)

    async def refused(self) -> None:
        """By the table, and by the preflight of somebody without roles."""
        r = self.rehearsal
        for arguments, code in (
            (("switch", r.ref.name, "--to", "azureml", "-o", "json"), 3),
            (("status", "-o", "json"), 0),
            (("doctor", r.ref.name, "--output", "report"), None),
        ):
            await asyncio.to_thread(self.command, *arguments, code=code)
        with self.stack.acting_as("stranger"):
            async with Labelbridge.connect(self.stack.settings("stranger")) as stranger:
                await stranger.actor()
        with pytest.raises(LabelbridgeError) as caught:
            await (await stranger.start(r.ref, SwitchRequest(to=Studio.LANGUAGE))).result(300)
        assert caught.value.code == "preflight_failed"

    def imports(self) -> None:
        """A labels file becomes a project, by commands."""
        r, files = self.rehearsal, self.rehearsal.evidence.folder
        whole, rows = self.folder / "project.json", self.folder / "rows.jsonl"
        whole.write_text(json.dumps(files.import_file(name="new", container=r.project.container)))
        self.command(
            "convert",
            str(whole),
            str(rows),
            "--documents",
            str(files.path),
            "--datastore",
            r.project.datastore,
        )
        self.command(
            "import", f"{r.ref.name}-2", "--file", str(rows), "--account", DATA_ACCOUNT, "--container", r.project.container,
            "--kind", "entities", "--language", "en-us", "-o", "json",
        )  # fmt: skip

    def asks_the_console(self) -> None:
        """With a token, with a wrong one, and with what a sign-in brings back."""
        address, operator = self.stack.console.address, self.stack.tenant.caller("operator")
        token = operator.token(f"api://{self.stack.console.client_id}").token
        for path, bearer, status in (
            ("/api/v1/projects", token, 200),
            (f"/api/v1/projects/{self.rehearsal.ref.name}/operations", token, 200),
            ("/api/v1/projects", f"{token}x", 401),
            (f"/auth/callback?code={CODE}&state=x", "", None),
        ):
            got, body = self._get(f"{address}{path}", bearer)
            assert status is None or got == status, (path, got, body[:500])
            self.told.append(Place(f"answer to {path}", body))

    def _get(self, address: str, token: str) -> tuple[int, bytes]:
        import ssl

        context = ssl.create_default_context(cafile=self.stack.place.authority)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(address, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=300, context=context) as answer:
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def command(self, *arguments: str, code: int | None = 0) -> None:
        """Run a command to its end, and keep what it said."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=300,
            env=os.environ | self.stack.environment("operator") | {"XDG_CACHE_HOME": str(self.folder)},
        )
        assert code is None or done.returncode == code, done.stderr.decode()
        self.told.append(Place(f"stdout and stderr of {arguments[0]}", done.stdout + done.stderr))
