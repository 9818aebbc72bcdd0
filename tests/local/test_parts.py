"""The parts of the local stack, each on its own: processes, certificates, Azurite, Temporal."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock, BlobServiceClient
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from labelbridge import names
from labelbridge.local import certificates, temporal
from labelbridge.local.azurite import ACCOUNTS, Azurite
from labelbridge.local.processes import Child, ChildError, Watchdog, free_port

ACCOUNT = ACCOUNTS[0]
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def sleeper(folder: Path) -> Child:
    log = folder / "sleeper.log"
    return Child("sleeper", SLEEPER, log, ready=lambda: b"up" in log.read_bytes())


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_child_can_be_killed_and_started_again(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    child.start()
    first = child.pid
    child.kill()
    await_end(first)
    child.start()
    assert child.alive
    assert child.pid != first
    child.stop()
    await_end(child.pid)


def test_a_child_that_ends_while_starting_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such port')"]
    child = Child("broken", command, tmp_path / "broken.log", ready=lambda: False)
    with pytest.raises(ChildError, match="no such port"):
        child.start()


def test_a_child_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from labelbridge.local.processes import Child\n"
        f"child = Child('c', {SLEEPER!r}, Path({str(tmp_path / 'c.log')!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        os.kill(parent.pid, signal.SIGKILL)
    await_end(pid)


def test_the_watchdog_reports_a_child_that_dies_unasked_and_not_one_that_was_stopped(tmp_path: Path) -> None:
    reports: list[str] = []
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    stopped, killed = sleeper(tmp_path / "a"), sleeper(tmp_path / "b")
    watchdog = Watchdog(lambda: [stopped, killed], reports.append)
    stopped.start()
    killed.start()
    watchdog.start()
    stopped.stop()
    os.kill(killed.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not reports and time.monotonic() < deadline:
        time.sleep(0.02)
    watchdog.stop()
    assert len(reports) == 1
    assert "died without being asked to" in reports[0]


def test_the_watchdog_starts_a_child_again_that_asks_for_it_by_its_exit_code(tmp_path: Path) -> None:
    reports: list[str] = []
    lives = tmp_path / "lives"
    script = (
        "import os, sys, time; from pathlib import Path\n"
        f"lives = Path({str(lives)!r}); lives.open('a').write('x')\n"
        f"sys.exit({os.EX_TEMPFAIL}) if len(lives.read_text()) == 1 else time.sleep(600)"
    )
    child = Child(
        "c",
        [sys.executable, "-c", script],
        tmp_path / "c.log",
        started_again_after=(os.EX_TEMPFAIL,),
    )
    watchdog = Watchdog(lambda: [child], reports.append)
    child.launch()
    watchdog.start()
    try:
        deadline = time.monotonic() + 30
        while not (lives.exists() and lives.read_text() == "xx") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lives.read_text() == "xx"
        assert child.alive
    finally:
        watchdog.stop()
        child.stop()
    assert reports == []


def test_ports_lie_below_the_range_that_the_kernel_hands_out() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < lowest for port in (free_port() for _ in range(20)))


def test_certificates_are_kept_and_a_spoilt_one_is_reissued_by_the_same_authority(tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    before = made.chain.read_bytes()
    authority = made.authority.read_bytes()
    assert certificates.ensure(tmp_path).chain.read_bytes() == before
    made.chain.write_text("spoilt")
    again = certificates.ensure(tmp_path)
    assert again.chain.read_bytes() not in (before, b"spoilt")
    assert again.authority.read_bytes() == authority
    assert made.key.stat().st_mode & 0o077 == 0


@pytest.fixture(scope="module")
def blob_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    folder = tmp_path_factory.mktemp("azurite")
    azurite = Azurite(folder, certificates.ensure(folder / "certificates"))
    azurite.start()
    yield azurite
    azurite.stop()


def blob_client(azurite: Azurite) -> BlobServiceClient:
    certificate = str(certificates.ensure(azurite.log.parent / "certificates").authority)
    key = {"account_name": ACCOUNT, "account_key": azurite.accounts[ACCOUNT]}
    return BlobServiceClient(
        azurite.endpoint.format(account=ACCOUNT), credential=key, connection_verify=certificate, retry_total=0
    )


def test_azurite_serves_tls_that_its_authority_alone_vouches_for(blob_service: Azurite) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.get_server_certificate(
            ("127.0.0.1", blob_service.port),
            ca_certs=str(certificates.ensure(blob_service.log.parent / "others").authority),
        )


def test_azurite_loses_no_acknowledged_blob_when_it_is_killed(blob_service: Azurite) -> None:
    for number in range(5):
        container = blob_client(blob_service).create_container(f"round{number}")
        tags = [
            container.upload_blob(f"{n}.txt", f"{number} {n}").get_blob_properties().etag for n in range(10)
        ]
        container.get_blob_client("0.txt").delete_blob()
        blocks = container.get_blob_client("1.txt")
        blocks.stage_block("00", f"in blocks {number}".encode())
        tags[1] = f'"{blocks.commit_block_list([BlobBlock("00")])["etag"]}"'.replace('""', '"')
        blob_service.kill()
        blob_service.start()
        found = {blob.name: f'"{blob.etag}"' for blob in container.list_blobs()}
        assert found == {f"{n}.txt": tags[n] for n in range(1, 10)}
        assert container.download_blob("9.txt").readall() == f"{number} 9".encode()
        assert container.download_blob("1.txt").readall() == f"in blocks {number}".encode()


async def test_temporal_keeps_its_workflows_and_its_address_over_a_kill(tmp_path: Path) -> None:
    server = temporal.TemporalServer(tmp_path, tuned=True)
    server.start()
    try:
        client = await Client.connect(server.address)
        handle = await client.start_workflow("nobody-runs-this", id="kept", task_queue="none")
        server.kill()
        server.start()
        client = await Client.connect(server.address)
        assert (await client.get_workflow_handle("kept").describe()).run_id == handle.result_run_id
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="default")
        )
        for name in names.SEARCH_ATTRIBUTES:
            assert listed.custom_attributes[name] == IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    finally:
        server.stop()
    assert not server.alive
