"""What the local Azure acknowledged it still knows after a SIGKILL, and finishes what it began."""

import json
import threading
from typing import Any

import urllib3

from labelbridge.local.config import JobSeconds
from tests.local.conftest import StartAzure
from tests.local.servers import LabelingJob, LabelingSite, LocalAzure, eventually


def restarted(azure: LocalAzure) -> None:
    azure.child.kill()
    azure.start()


def test_a_kill_loses_no_acknowledged_write(start_azure: StartAzure) -> None:
    azure = start_azure()
    texts = {f"{number:03}.txt": "Ann" for number in range(60)}
    job = LabelingSite.make(azure.tenant(), texts).job("killed")
    acknowledged: dict[str, int] = {}
    enough, died = threading.Event(), threading.Event()

    def label(documents: list[str]) -> None:
        try:
            for document in documents:
                acknowledged[document] = job.label(document, []).body["sequence"]
                if len(acknowledged) >= 20:
                    enough.set()
        except urllib3.exceptions.HTTPError:
            died.set()

    names = list(texts)
    threads = [threading.Thread(target=label, args=(names[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    azure.child.kill()
    for thread in threads:
        thread.join(60)
    assert died.is_set()
    azure.start()
    shown = {one["document"]: one for one in job.studio("GET").body["items"]}
    written = {entry["document"]: entry["sequence"] for entry in azure.log() if entry["event"] == "write"}
    for document, sequence in acknowledged.items():
        assert shown[document]["labels"] == []
        assert written[document] == sequence


def test_an_export_that_was_acknowledged_is_done_after_a_kill(start_azure: StartAzure) -> None:
    azure = start_azure(jobs=JobSeconds(export=1.0))
    job = LabelingSite.make(azure.tenant()).job("export")
    job.label("a.txt", [])
    asked = job.arm("POST", "/exportLabels", {"format": "Dataset"}, expect=(202,))
    restarted(azure)
    summary = job.site.tenant.caller("admin").finish_arm(asked.headers["Location"]).body
    assert [json.loads(line)["label"] for line in job.exported_rows(summary)] == [[]]


def test_jobs_roles_gates_and_tokens_survive_a_kill(start_azure: StartAzure) -> None:
    azure = start_azure()
    tenant = azure.tenant()
    site = LabelingSite.make(tenant)
    paused, gone = site.job("paused"), site.job("gone")
    paused.arm("POST", "/pause")
    gone.arm("DELETE")
    before = look(paused)
    restarted(azure)
    assert look(paused) == before
    eventually(paused.is_open, lambda is_open: not is_open)
    paused.label("a.txt", [], expect=(409,))
    gone.arm("PUT", body={"properties": site.properties()}, expect=(409,))
    events = [entry["event"] for entry in azure.log() if entry["subject"] == paused.id]
    assert events == ["opened", "closed"]


def look(job: LabelingJob) -> Any:
    """What a read says of a job that no later change can touch."""
    body = job.arm("GET").body
    return {**body, "properties": {**body["properties"], "status": None}}
