"""Policies: what people may write, and the Schedule that follows from it."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.events.policy import Mode, Policy, keep_schedule, policy_of
from labelbridge.model import Actor, ProjectRef
from tests.events.conftest import MakeSettings, OpenStores
from workers.events import restore_schedules

RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
ANN = Actor(object_id="1", name="ann")


def _policy(text: str, name: str = "tickets") -> Policy:
    project = ProjectRef(language_resource=RESOURCE, name=name)
    return policy_of(project, text, at=datetime(2026, 3, 1, tzinfo=UTC), by=ANN)


@pytest.mark.parametrize(
    ("text", "mode", "every", "said"),
    [
        ("off", Mode.OFF, None, "off"),
        ("on_export", Mode.ON_EXPORT, None, "on_export"),
        ("On-Export", Mode.ON_EXPORT, None, "on_export"),
        ("every 15 min", Mode.EVERY, timedelta(minutes=15), "every 15 min"),
        ("every 90 minutes", Mode.EVERY, timedelta(minutes=90), "every 90 min"),
        ("every 2h", Mode.EVERY, timedelta(hours=2), "every 2 h"),
        ("every 90 s", Mode.EVERY, timedelta(seconds=90), "every 90 s"),
        ("every 1 d", Mode.EVERY, timedelta(days=1), "every 1 d"),
    ],
)
def test_a_policy_is_read_as_people_write_it(
    text: str, mode: Mode, every: timedelta | None, said: str
) -> None:
    found = _policy(text)
    assert (found.mode, found.every, found.text) == (mode, every, said)


@pytest.mark.parametrize(
    "text", ["", "on", "every", "every 10 s", "every 0 min", "every -1 h", "15 min", "every x"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        _policy(text)
    assert caught.value.code == "input_invalid"


async def _interval(client: Client, policy: Policy) -> timedelta | None:
    handle = client.get_schedule_handle(names.AUTO_SYNC.format(key=policy.project.key))
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    return found.schedule.spec.intervals[0].every


async def test_the_schedule_follows_the_policy_and_a_worker_brings_it_back_from_the_registry(
    events_settings: MakeSettings, open_stores: OpenStores, client: Client
) -> None:
    settings = events_settings()
    stores = await open_stores(settings)
    name = settings.temporal.task_queue
    every, often = _policy("every 15 min", name), _policy("every 1 h", name)
    assert (await stores.policies.read(every.project)).text == "off"
    await stores.policies.write(every)
    await keep_schedule(client, settings, every)
    assert await _interval(client, every) == timedelta(minutes=15)
    await stores.policies.write(often)
    await keep_schedule(client, settings, often)
    assert await _interval(client, often) == timedelta(hours=1)
    # The namespace is lost: the Schedule with it, the policy not.
    await client.get_schedule_handle(names.AUTO_SYNC.format(key=often.project.key)).delete()
    await restore_schedules(client, stores, settings)
    assert await _interval(client, often) == timedelta(hours=1)
    on_export = _policy("on_export", name)
    await keep_schedule(client, settings, on_export)
    assert await _interval(client, on_export) == settings.events.backstop
    off = _policy("off", name)
    await stores.policies.write(off)
    await keep_schedule(client, settings, off)
    await keep_schedule(client, settings, off)
    assert await _interval(client, off) is None
    assert await stores.policies.all() == ()
