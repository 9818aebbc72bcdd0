"""Key files that others could read or change, or that hold no proper keys, are refused; keys never show."""

import asyncio
import base64
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from labelbridge.encryption.keys import KeyRing, parse_keys, read_keys_file
from labelbridge.encryption.settings import CodecServerSettings, EncryptionSettings
from labelbridge.encryption.source import Keys
from labelbridge.errors import LabelbridgeError

GOOD = base64.b64encode(b"k" * 32).decode()


def written(path: Path, *, mode: int = 0o400, **changes: object) -> Path:
    path.write_text(json.dumps({"active": "a", "keys": {"a": GOOD}} | changes))
    path.chmod(mode)
    return path


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    ring = read_keys_file(written(tmp_path / "keys.json"))
    assert (ring.active, ring.keys) == ("a", {"a": b"k" * 32})
    assert "kkk" not in repr(ring)


@pytest.mark.parametrize("mode", [0o404, 0o420, 0o402, 0o401, 0o644, 0o660])
def test_a_file_that_others_can_read_or_the_group_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        read_keys_file(written(tmp_path / "keys.json", mode=mode))
    assert caught.value.code == "settings_invalid"
    assert "chmod" in caught.value.message
    assert GOOD not in caught.value.message


@pytest.mark.parametrize(("owner", "fine"), [(0, True), (1234, False), (99, False)])
def test_only_roots_file_may_be_readable_by_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, fine: bool
) -> None:
    """As a Secret is mounted in Kubernetes: root's, mode 0440, the process in its group."""
    path, real = written(tmp_path / "keys.json", mode=0o440), os.fstat

    def as_owned(number: int) -> os.stat_result:
        found = list(real(number))
        found[4] = owner
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", as_owned)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    if fine:
        assert read_keys_file(path).active == "a"
        return
    with pytest.raises(LabelbridgeError, match="settings_invalid"):
        read_keys_file(path)


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    target = written(tmp_path / "open.json", mode=0o644)
    (tmp_path / "keys.json").symlink_to(target)
    with pytest.raises(LabelbridgeError, match="0644"):
        read_keys_file(tmp_path / "keys.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"active": "a"}',
        json.dumps({"active": "b", "keys": {"a": GOOD}}),
        json.dumps({"active": "a", "keys": {"a": GOOD}, "more": 1}),
        json.dumps({"active": "a", "keys": {"a": GOOD[:20]}}),
        json.dumps({"active": "a", "keys": {"a": "no base64!"}}),
        json.dumps({"active": "a", "keys": {"a": 1}}),
        json.dumps({"active": "a b", "keys": {"a b": GOOD}}),
    ],
)
def test_what_is_no_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_keys(text)
    assert GOOD not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelbridgeError, match="nowhere"):
        read_keys_file(tmp_path / "nowhere")


def test_settings_that_contradict_themselves_are_refused() -> None:
    assert not EncryptionSettings().enabled
    with pytest.raises(ValueError, match="not both"):
        EncryptionSettings.model_validate({"keys_file": "a", "vault": "https://v.vault.azure.net"})
    with pytest.raises(ValueError):
        EncryptionSettings(vault="http://v.vault.azure.net")
    for origin in ("*", "https://*", "https://a/b", "a", "null"):
        with pytest.raises(ValueError):
            CodecServerSettings(ui_origin=origin)


class Source:
    """A source whose answers a test chooses, and a clock that it turns."""

    def __init__(self, *rings: KeyRing | LabelbridgeError) -> None:
        self.answers, self.asked, self.now = list(rings), 0, 0.0
        self.keys = Keys(
            self._load,
            refresh=timedelta(seconds=100),
            unknown_key_pause=timedelta(seconds=10),
            clock=lambda: self.now,
        )

    async def _load(self, _: KeyRing | None) -> KeyRing:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, LabelbridgeError):
            raise answer
        return answer

    async def settled(self) -> KeyRing:
        """What is known once a refresh beside the work is done."""
        await self.keys.ring()
        if self.keys._running is not None:
            await self.keys._running
        return await self.keys.ring()


ONE = KeyRing("a", {"a": b"a" * 32})
TWO = KeyRing("b", {"a": b"a" * 32, "b": b"b" * 32})
AWAY = LabelbridgeError("encryption_keys_unavailable")


async def test_many_who_begin_at_once_fetch_once() -> None:
    source = Source(ONE)
    assert await asyncio.gather(*(source.keys.ring() for _ in range(20))) == [ONE] * 20
    assert source.asked == 1


async def test_a_source_that_is_away_at_the_start_is_an_error_and_asked_again() -> None:
    source = Source(AWAY, ONE)
    with pytest.raises(LabelbridgeError, match="encryption_keys_unavailable"):
        await source.keys.ring()
    assert await source.keys.ring() == ONE


async def test_keys_are_refreshed_when_due_and_serve_on_while_the_source_is_away() -> None:
    source = Source(ONE, AWAY, TWO)
    assert await source.settled() == ONE
    source.now = 99
    assert (await source.settled(), source.asked) == (ONE, 1)
    source.now = 101
    assert (await source.settled(), source.asked) == (ONE, 2)
    source.now = 105
    assert (await source.settled(), source.asked) == (ONE, 2)
    source.now = 112
    assert (await source.settled(), source.asked) == (TWO, 3)


async def test_an_unknown_key_is_looked_for_at_once_but_not_again_and_again() -> None:
    source = Source(ONE, ONE, TWO)
    await source.keys.ring()
    for _ in range(5):
        with pytest.raises(LabelbridgeError, match="'b'"):
            await source.keys.key("b")
    assert source.asked == 2
    source.now = 11
    assert await source.keys.key("b") == b"b" * 32
    assert source.asked == 3


async def test_many_who_miss_a_key_at_once_look_for_it_once() -> None:
    source = Source(ONE, TWO)
    await source.keys.ring()
    assert set(await asyncio.gather(*(source.keys.key("b") for _ in range(20)))) == {b"b" * 32}
    assert source.asked == 2
