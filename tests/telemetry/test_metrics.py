"""What a real worker shows after a real story; it kept no workflow in memory, so every task was a replay."""

import asyncio
import time

import pytest

from tests.operations.rehearsal import eventually
from tests.telemetry.conftest import Fleet, Scrape

COMMITTED = {"connect": 1.0, "switch": 1.0, "reconcile": 1.0, "import": 1.0}


def counts(scrape: Scrape, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return scrape.values(f"{name}_count", *labels)


@pytest.mark.long  # a task that a busy server asks for twice is told of twice
def test_each_operation_is_counted_once_however_often_it_was_replayed(fleet: Fleet) -> None:
    seen = fleet.told
    ended = {(kind, "committed"): count for kind, count in COMMITTED.items()}
    ended["import", "refused"] = 1
    assert counts(seen, "labelbridge_operation_seconds", "kind", "outcome") == ended
    failures = seen.values("labelbridge_operation_failures_total", "kind", "code")
    assert failures == {("import", "labels_quarantined"): 1}
    waited = {(kind,): count + (kind == "import") for kind, count in COMMITTED.items()}
    assert counts(seen, "labelbridge_queue_wait_seconds", "kind") == waited
    steps = counts(seen, "labelbridge_operation_step_seconds", "kind", "step", "outcome")
    of_switch = {step: count for (kind, step, _), count in steps.items() if kind == "switch"}
    names = (
        "preflight",
        "intend",
        "gate",
        "drain",
        "snapshot",
        "deliver",
        "commit",
        "open",
        "look_again",
        "announce",
    )
    assert of_switch == dict.fromkeys(names, 1)
    assert {kind for kind, _, outcome in steps if outcome != "done"} == {"import"}


def test_labels_are_disabled_for_longer_than_the_drain_and_no_longer_than_the_operation(fleet: Fleet) -> None:
    seen = fleet.told
    disabled = seen.values("labelbridge_labels_disabled_seconds_sum", "kind")
    took = seen.values("labelbridge_operation_seconds_sum", "kind")
    drain = fleet.settings.timing.drain.total_seconds()
    assert set(disabled) == {("connect",), ("switch",)}
    assert all(drain <= disabled[kind] <= took[kind] for kind in disabled)


def test_what_happened_beside_the_operations_is_counted(fleet: Fleet) -> None:
    seen = fleet.told
    throttled = seen.values("labelbridge_throttled_requests_total", "service")
    assert sum(throttled.values()) == 2
    assert seen.values("labelbridge_quarantined_documents_total", "kind")[("import",)] == 1
    drift = seen.values("labelbridge_drift_found_total", "code", "outcome")
    assert drift == {("azureml_shut", "closed"): 1}
    requests = seen.values("labelbridge_azure_requests_total", "service", "status")
    assert {service for service, _ in requests} == {"arm", "azureml", "blob", "identity", "language"}
    assert sum(count for (_, status), count in requests.items() if status == "429") == 2
    timed = counts(seen, "labelbridge_azure_request_seconds", "service")
    assert timed["blob",] == sum(count for (service, _), count in requests.items() if service == "blob")


async def test_an_event_that_nobody_takes_becomes_a_dead_letter_that_is_counted(fleet: Fleet) -> None:
    async def buried() -> bool | None:
        seen = await asyncio.to_thread(fleet.worker.scrape)
        dead = seen.values("labelbridge_dead_letters_total")[()]
        failed = seen.values("labelbridge_event_deliveries_total", "outcome")[("failed",)]
        return True if dead and dead <= failed else None

    await eventually(buried, "no event was given up")


async def test_who_waits_for_a_person_is_known_to_a_worker_that_was_started_after_it_happened(
    fleet: Fleet,
) -> None:
    async def waits() -> bool | None:
        seen = await asyncio.to_thread(fleet.worker.scrape)
        return (
            True
            if seen.values("labelbridge_waiting_for_person", "code") == {("record_unreadable",): 1}
            else None
        )

    await eventually(waits, "nobody waits for a person")
    await asyncio.to_thread(fleet.worker.kill)
    await asyncio.to_thread(fleet.worker.start)
    await eventually(waits, "a new worker knows of nobody")


async def test_the_last_sweep_and_what_runs_are_seen(fleet: Fleet) -> None:
    async def swept() -> Scrape | None:
        seen = await asyncio.to_thread(fleet.worker.scrape)
        return (
            seen if seen.values("labelbridge_sweep_last_success_timestamp_seconds").get((), 0) > 0 else None
        )

    seen = await eventually(swept, "no sweep is known")
    age = time.time() - seen.values("labelbridge_sweep_last_success_timestamp_seconds")[()]
    assert -1 < age < 3600
    assert seen.values("labelbridge_sweep_interval_seconds")[()] == 3600
    assert set(seen.values("labelbridge_operations_running", "kind").values()) == {0}


def test_no_label_names_a_project_a_document_or_an_address(fleet: Fleet) -> None:
    seen = fleet.told
    forbidden: tuple[str, ...] = (
        fleet.bench.ref.name,
        fleet.bench.ref.key,
        fleet.blind.name,
        fleet.bench.job.name,
        "127.0.0.1",
    )
    forbidden += tuple(fleet.bench.project.documents)
    assert not [value for value in seen.labels() for one in forbidden if one in value]
