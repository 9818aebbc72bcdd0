"""What strikes a worker's blobs does what its notes say: no effect, one whose answer is lost, or two."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError

from labelbridge.azure import transport
from tests.faults.blob_faults import WRITES, BlobFaults, disturbances, figures, install, struck

BLOBS = "https://127.0.0.1:10000/"
RECORD = "records/labelbridge/projects/a/record.json"


@dataclass
class _Request:
    method: str
    url: str


@dataclass
class _Answer:
    internal_response: Any = field(default_factory=lambda: _Closing())


class _Closing:
    def close(self) -> None:
        return None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Effects by address, in the place of the network."""
    effects: Counter[str] = Counter()

    async def send(self: Any, request: _Request, **config: Any) -> _Answer:
        effects[request.url] += 1
        return _Answer()

    monkeypatch.setattr(transport.DeadlineTransport, "send", send)
    return effects


async def _put(url: str, method: str = "PUT") -> str:
    try:
        await transport.DeadlineTransport.send(object(), _Request(method, url))  # type: ignore[arg-type]
    except ServiceRequestError:
        return "dropped"
    except ServiceResponseError:
        return "reset after the effect"
    return "answered"


async def test_a_struck_write_has_no_effect_one_or_two_and_its_caller_is_told_what_a_network_tells(
    sent: Counter[str], tmp_path: Path
) -> None:
    note = tmp_path / "notes"
    install(BlobFaults(BLOBS, rate=1.0, seed="7", note=str(note)))
    told = [await _put(f"{BLOBS}{RECORD}?{number}") for number in range(60)]
    effects = [sent[f"{BLOBS}{RECORD}?{number}"] for number in range(60)]
    wanted = {"dropped": 0, "reset after the effect": 1, "answered": 2}
    assert effects == [wanted[one] for one in told]
    assert set(told) == wanted.keys()
    noted = list(struck(note))
    assert {one.how for one in noted} == set(WRITES)
    assert figures(note)["of these, writes of a record"] == 60
    assert [one.start for one in disturbances(note)] == [one.at for one in noted]


async def test_only_blobs_are_struck_and_only_at_their_rate(sent: Counter[str], tmp_path: Path) -> None:
    note = tmp_path / "notes"
    install(BlobFaults(BLOBS, rate=0.1, seed="7", note=str(note)))
    assert {await _put(f"https://127.0.0.1:443/{number}") for number in range(300)} == {"answered"}
    assert list(struck(note)) == []
    for number in range(500):
        await _put(f"{BLOBS}a/{number}")
        await _put(f"{BLOBS}a/{number}", "GET")
    found = Counter(one.method for one in struck(note))
    assert 20 < found["PUT"] < 100
    assert 0 < found["GET"] < found["PUT"] / 2


def test_nothing_was_struck_where_nobody_noted_anything(tmp_path: Path) -> None:
    assert list(disturbances(None)) == list(disturbances(tmp_path / "none")) == []
