"""Temporal's own command line shows an encrypted history through the codec server, to those who may."""

import asyncio
import base64
import os
import subprocess
import uuid
from pathlib import Path

from structlog.testing import capture_logs
from temporalio.client import Client

from labelbridge.converter import data_converter
from labelbridge.local.temporal import TemporalServer, binary
from tests.codec_server.conftest import NAMESPACE, ROLE, CodecSite

SECRET = "ward 7 tickets"
SHOWN = base64.b64encode(b'"ward 7 tickets"').decode()
"""As `--output json` writes it."""


async def test_workflow_show_reads_payloads_with_a_token_and_not_without(
    site: CodecSite, temporal: TemporalServer, tmp_path: Path
) -> None:
    workflow_id = f"w-{uuid.uuid4().hex}"
    client = await Client.connect(
        temporal.address, namespace=NAMESPACE, data_converter=data_converter(site.settings, NAMESPACE)
    )
    await client.start_workflow(
        "nobody.runs.it", SECRET, id=workflow_id, task_queue="none", memo={"m": SECRET}
    )

    def show(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(binary()), "workflow", "show", "--workflow-id", workflow_id, "--output", "json"]
        command += ["--address", temporal.address, "--namespace", NAMESPACE, "--disable-config-file"]
        # Go reads the authorities to trust from this file.
        own = {"SSL_CERT_FILE": str(site.trust.ca), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(
            [*command, *options], env=own, capture_output=True, text=True, check=False, timeout=300
        )

    def token(*roles: str) -> str:
        return f"Bearer {site.issuer.token(site.issuer.claims('paula', roles=list(roles)))}"

    without = await asyncio.to_thread(show)
    assert without.returncode == 0, without.stderr
    assert SHOWN not in without.stdout

    endpoint = ("--codec-endpoint", site.url)
    shown = await asyncio.to_thread(show, *endpoint, "--codec-auth", token(ROLE))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(SHOWN) == 2  # the input and the memo

    by_path = await asyncio.to_thread(
        show, "--codec-endpoint", site.url + "/{namespace}", "--codec-auth", token(ROLE)
    )
    assert SHOWN in by_path.stdout, by_path.stderr

    owner = token("Labelbridge.Owner")
    with capture_logs() as lines:  # the command line repeats what is refused until its time is up
        refused = await asyncio.to_thread(show, *endpoint, "--codec-auth", owner, "--command-timeout", "3s")
    assert refused.returncode != 0
    assert SHOWN not in refused.stdout
    assert {(one["event"], one["code"], one["actor"]) for one in lines} == {
        ("request_refused", "role_missing", "paula")
    }
