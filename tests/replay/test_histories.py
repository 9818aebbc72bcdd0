"""Every saved history replays with the workflows of today, and every way to end has one."""

import base64
import json
import re
import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

import workflows
from labelbridge.model import OperationKind, Request
from tests.replay import changed
from tests.replay.commands import commands, sources
from tests.replay.endings import Ending, legal, recoveries, wanted
from tests.replay.histories import FOLDER, MANIFEST, PRODUCT, Saved, cleaned, manifest_row, texts
from workers.versioning import replayer
from workflows.switch import SwitchWorkflow

SWITCH = "labelbridge.switch"


@cache
def saved() -> tuple[Saved, ...]:
    return tuple(Saved.all())


@cache
def ours() -> tuple[Saved, ...]:
    """Those of this version: older ones may lack what is new."""
    return tuple(one for one in saved() if one.product == PRODUCT)


def operations() -> list[Saved]:
    return [one for one in ours() if one.is_operation]


async def failures(those: Sequence[type], histories: Sequence[Saved]) -> dict[str, str]:
    """Names of the histories that do not replay, with the reason."""

    async def each() -> Any:
        for one in histories:
            yield one.replayable

    found = await replayer(those).replay_workflows(each(), raise_on_replay_failure=False)
    assert found.replay_failures.keys() <= {one.replayable.run_id for one in histories} | set()
    names = {one.replayable.run_id: f"{one.product}/{one.name}" for one in histories}
    return {names[run]: str(error) for run, error in found.replay_failures.items()}


async def test_every_saved_history_replays() -> None:
    assert saved()
    broken = await failures(workflows.ALL, saved())
    listing = "\n".join(f"{name}: {reason}" for name, reason in broken.items())
    assert not broken, f"a run that is on its way would be stuck (docs/versioning.md):\n{listing}"


# That this would be noticed.


def with_switch(other: type) -> list[type]:
    return [other if one is SwitchWorkflow else one for one in workflows.ALL]


@pytest.mark.parametrize("other", [changed.LooksNoMore, changed.WaitsBefore, changed.WithdrawsFirst])
async def test_a_changed_sequence_makes_the_histories_that_came_to_it_fail(other: type) -> None:
    committed = [one for one in ours() if one.workflow == SWITCH and one.ending is Ending.COMMITTED]
    assert committed
    broken = await failures(with_switch(other), committed)
    assert broken.keys() == {f"{one.product}/{one.name}" for one in committed}
    assert all("ondeterminism" in reason for reason in broken.values()), broken


@pytest.mark.parametrize("other", [changed.WaitsBehindAPatch, changed.SaysItOtherwise])
async def test_a_change_behind_a_patch_and_one_of_no_command_break_no_history(other: type) -> None:
    assert not await failures(with_switch(other), [one for one in saved() if one.workflow == SWITCH])


# That nothing is left out.


def test_every_workflow_has_a_history() -> None:
    names = {name_of(one) for one in workflows.ALL}
    assert names == {one.workflow for one in ours()}


def test_every_operation_has_a_history_of_each_way_it_can_end() -> None:
    missing = wanted() - {(one.ask, one.ending) for one in operations()}
    assert not missing, f"scenes.py lacks {sorted(missing)}; then: make histories"


def test_every_operation_has_a_history_from_each_state_in_which_it_may_begin() -> None:
    begun = {(one.state, one.ask) for one in operations()}
    missing = [(state, ask) for state, ask in legal() if (state, ask.value) not in begun]
    assert not missing


def test_every_sort_of_recovery_has_a_history() -> None:
    recovered = [one for one in operations() if one.ask == OperationKind.RECOVER]
    assert recoveries() <= {one.recovered for one in recovered}
    assert None in {one.recovered for one in recovered}, "one whose record had nothing of the operation"
    assert {Ending.COMMITTED, Ending.COMPLETED} == {one.ending for one in recovered}


def test_every_workflow_that_continues_as_new_has_a_history_that_does() -> None:
    lines = commands(sources())
    for workflow in workflows.ALL:
        name = name_of(workflow)
        if any(line.strip() == "continue_as_new" for line in lines[workflow.__name__]):
            assert "continued" in {one.end for one in ours() if one.workflow == name}, name


def test_every_option_of_a_request_has_a_history_that_uses_it() -> None:
    asked = [one.order.submission.request for one in operations()]
    for request in get_args(get_args(Request)[0]):
        for name, values in options(request):
            used = {getattr(one, name) for one in asked if type(one) is request}
            assert set(values) <= used, f"{request.__name__}.{name}: {set(values) - used}"


def name_of(workflow: Any) -> str:
    return str(workflow.__temporal_workflow_definition.name)


def options(request: type[BaseModel]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Fields that are said by a choice, with what may be chosen."""
    for name, field in request.model_fields.items():
        values = tuple(choices(field.annotation))
        if len(values) > 1:
            yield name, values


def choices(annotation: Any) -> Iterator[Any]:
    if annotation is bool:
        yield from (True, False)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) is types.UnionType:
        for one in get_args(annotation):
            yield from (None,) if one is type(None) else choices(one)


# What stands in the files.


def test_what_names_a_machine_is_taken_out_of_a_history_and_nothing_else() -> None:
    said = {
        "location": "https://127.0.0.1:4711/jobs/1",
        "id": "/subscriptions/s/tmp/x",
        "why": "/tmp/x/y",
    }
    clean = {"location": "https://azure.invalid/jobs/1", "id": "/subscriptions/s/tmp/x", "why": "PATH"}
    history = {
        "identity": "4711@laptop",
        "failure": {"message": "no answer from 127.0.0.1:4711", "stackTrace": f"File /{'home'}/ann/x.py"},
        "input": {"payloads": [payload(said)]},
    }
    assert cleaned(history) == {
        "identity": "worker",
        "failure": {"message": "no answer from azure.invalid"},
        "input": {"payloads": [payload(clean)]},
    }


def payload(value: object) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": data}


def test_no_history_names_the_machine_that_recorded_it() -> None:
    machine = re.compile(r"127\.0\.0\.1|localhost|(?<![\w/.-])/(tmp|home|root|work|usr|var)/|\b\d+@\w")
    for one in saved():
        for text in texts(one.history):
            assert not (found := machine.search(text)), f"{one.name}: {found and found[0]}: {text[:200]}"


def test_the_manifests_say_what_the_histories_say() -> None:
    for folder in {one.product for one in saved()}:
        rows = json.loads((FOLDER / folder / MANIFEST).read_text())
        assert rows == [manifest_row(one) for one in saved() if one.product == folder]
