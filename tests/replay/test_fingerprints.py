"""A workflow's command sequence cannot change unseen, and what is no command may change freely."""

from functools import cache

import pytest

import workflows
from tests.replay.commands import commands, sources
from tests.replay.fingerprint import Fingerprint, differences, message, renewed, saved

REASON = "what changed and why"


def test_no_workflow_changed_its_commands_without_a_version_and_a_reason() -> None:
    changes = differences(saved(), commands(sources()))
    assert not changes, message(changes)


def test_every_workflow_that_a_worker_runs_has_a_fingerprint() -> None:
    known = saved()
    for workflow in workflows.ALL:
        assert known[workflow.__name__].commands
        assert known[workflow.__name__].reason


@cache
def as_it_is() -> dict[str, list[str]]:
    return commands(sources())


def changed(module: str, old: str, new: str) -> set[str]:
    """Whose sequence differs once `old` reads `new` in a copy of that module."""
    found = sources()
    assert found[module].count(old) >= 1, f"{module} does not read {old!r} any more"
    found[module] = found[module].replace(old, new, 1)
    now, before = commands(found), as_it_is()
    return {name for name in now.keys() | before.keys() if now.get(name) != before.get(name)}


OPEN = "        await self.open(self.target)\n"
LOOK = "        await self.look_again(self.target)\n"
CHANGES: dict[str, tuple[str, str, str]] = {
    "a step left out": ("switch", OPEN, ""),
    "two steps in another order": ("switch", OPEN + LOOK, LOOK + OPEN),
    "a step more": ("switch", OPEN, OPEN + '        await self.insist("open_more", self.order, None)\n'),
    "another activity": ("switch", OPEN, '        await self.insist("set_gates", self.order, None)\n'),
    "a timer": ("switch", OPEN, OPEN + "        await workflow.sleep(5)\n"),
    "a step only sometimes": ("switch", OPEN, "        if self.linked:\n    " + OPEN),
    "a way past steps": (
        "switch",
        OPEN,
        "        if self.linked:\n            return self.result()\n" + OPEN,
    ),
    "a child": ("switch", OPEN, OPEN + '        await workflow.execute_child_workflow("other")\n'),
    "a patch": ("switch", OPEN, '        if workflow.patched("p"):\n    ' + OPEN),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_the_commands_changes_the_fingerprint_of_that_workflow_alone(what: str) -> None:
    assert changed(*CHANGES[what]) == {"SwitchWorkflow"}


UNDO = '            self.on_undo("the record goes back", self.withdraw)\n'
INTEND = '            self.stored = await self.effect("intend", intent, StoredRecord)\n'
SHARED: dict[str, tuple[str, str, str, str]] = {
    "insist waits no more": (
        "_operation",
        "            await workflow.sleep(pause)\n",
        "",
        "OperationWorkflow.insist",
    ),
    "effect runs something else": (
        "_operation",
        "return await self._effect(name, argument, result)",
        "return await self.read(name, argument, result)",
        "OperationWorkflow.effect",
    ),
    "an undo is written later": (
        "_recorded",
        UNDO + INTEND,
        INTEND + UNDO,
        "Recorded.intend",
    ),
}


@pytest.mark.parametrize("what", SHARED)
def test_a_change_of_what_workflows_share_changes_its_own_fingerprint(what: str) -> None:
    module, old, new, name = SHARED[what]
    assert name in changed(module, old, new)


NOTHING: dict[str, tuple[str, str, str]] = {
    "a variable's name": (
        "switch",
        "language = await self.export(Studio.LANGUAGE)",
        "held = await self.export(Studio.LANGUAGE)",
    ),
    "a comment": ("switch", OPEN, "        # Only now.\n" + OPEN),
    "a docstring": ("switch", '"""Step 6: one blob write."""', '"""The commit."""'),
    "a text": ("disconnect", "Language holds them already", "There is nothing to do"),
    "a time-out": ("preflight", "timedelta(minutes=5)", "timedelta(minutes=6)"),
    "a step in a method of its own": (
        "switch",
        OPEN + LOOK,
        "        return await self.ending()\n\n    async def ending(self) -> OperationResult:\n"
        + OPEN
        + LOOK,
    ),
}


@pytest.mark.parametrize("what", NOTHING)
def test_what_is_no_command_changes_no_fingerprint(what: str) -> None:
    assert changed(*NOTHING[what]) == set()


OLD = {"W": Fingerprint(1, "1.2.0", "the first", ["run", "  timer"])}
MORE = {"W": ["run", "  timer", "  timer"]}
GUARDED = {"W": ["run", "  if", "    patched p", "    timer", "  timer"]}


@pytest.mark.parametrize("reason", ["", "because"])
def test_a_change_without_a_reason_is_not_written(reason: str) -> None:
    with pytest.raises(ValueError, match="say why"):
        renewed(OLD, MORE, reason=reason, product="1.2.0", released=[])


@pytest.mark.parametrize(
    ("now", "product", "released"),
    [
        (MORE, "1.2.0", []),
        (MORE, "1.3.0", ["1.1.0"]),
        (MORE, "2.0.0", ["1.2.0"]),
        (GUARDED, "1.2.1", ["1.2.0"]),
    ],
    ids=["never released", "released before it", "a breaking version", "guarded"],
)
def test_a_change_that_may_be_made_gets_the_next_version(
    now: dict[str, list[str]], product: str, released: list[str]
) -> None:
    assert renewed(OLD, now, reason=REASON, product=product, released=released) == {
        "W": Fingerprint(2, product, REASON, now["W"])
    }


@pytest.mark.parametrize("now", [MORE, {}], ids=["changed", "gone"])
@pytest.mark.parametrize("product", ["1.2.0", "1.2.1", "1.9.0"])
def test_a_released_sequence_is_not_overwritten_by_one_that_is_not_guarded(
    now: dict[str, list[str]], product: str
) -> None:
    with pytest.raises(ValueError, match=r"workflow\.patched"):
        renewed(OLD, now, reason=REASON, product=product, released=["1.2.0"])


def test_before_1_0_what_the_last_minor_version_began_goes_on() -> None:
    old = {"W": Fingerprint(1, "0.1.0", "the first", ["run"])}
    assert renewed(old, MORE, reason=REASON, product="0.3.0", released=["0.1.0"])["W"].version == 2
    with pytest.raises(ValueError, match=r"workflow\.patched"):
        renewed(old, MORE, reason=REASON, product="0.2.0", released=["0.1.0"])


def test_the_message_shows_what_changed_and_says_what_to_do() -> None:
    text = message(differences(OLD, MORE))
    assert "+  timer" in text
    assert "make fingerprints REASON=" in text
    assert "docs/versioning.md" in text


def test_what_did_not_change_keeps_its_version() -> None:
    old: dict[str, Fingerprint] = {**OLD, "V": Fingerprint(3, "1.0.0", "long ago", ["run"])}
    now: dict[str, list[str]] = {**MORE, "V": ["run"]}
    assert renewed(old, now, reason=REASON, product="1.3.0", released=[])["V"] == old["V"]
