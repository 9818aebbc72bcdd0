"""What an older version stored or sent still loads; what a newer one did is kept, or refused."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge.converter import PLAIN
from labelbridge.errors import LabelbridgeError
from labelbridge.forms import parsed
from labelbridge.labels.snapshot import decode, labels_digest
from labelbridge.lifecycle import judge
from labelbridge.model import (
    Model,
    ProjectRef,
    ProjectStatus,
    Record,
    Request,
    StoredRecord,
    Submission,
    SyncRequest,
)
from tests.replay.forms import FOLDER, examples, nouns
from tests.replay.histories import PRODUCT

NOUNS = nouns()
SAVED = [
    pytest.param(name, value, id=f"{file.stem}-{name}")
    for file in sorted(FOLDER.glob("*[0-9].json"))
    for name, value in json.loads(file.read_text()).items()
]
SNAPSHOTS = sorted(FOLDER.glob("*.snapshot.jsonl"))


def test_every_noun_has_an_example_of_this_version() -> None:
    kept = json.loads((FOLDER / f"{PRODUCT}.json").read_text())
    assert kept == json.loads(json.dumps(examples())), "a noun has changed: make forms"


@pytest.mark.parametrize(("name", "value"), SAVED)
def test_what_a_version_wrote_loads_with_every_value(name: str, value: dict[str, Any]) -> None:
    loaded = NOUNS[name].model_validate_json(json.dumps(value))
    assert contains(loaded.model_dump(mode="json"), value)
    assert not unknown(loaded), "a field was renamed or removed: an old value goes nowhere"


@pytest.mark.parametrize(("name", "value"), SAVED)
def test_what_a_newer_version_wrote_loads_and_is_written_back_whole(name: str, value: dict[str, Any]) -> None:
    newer = with_more(value)
    loaded = NOUNS[name].model_validate_json(json.dumps(newer))
    changed = loaded.model_copy(update={})
    assert json.loads(changed.model_dump_json()) == newer


@given(
    st.dictionaries(st.text(min_size=1, max_size=9).map("x-{}".format), st.integers() | st.text(), min_size=1)
)
def test_fields_that_only_a_newer_version_knows_survive_temporal_and_a_rewrite_of_the_record(
    more: dict[str, Any],
) -> None:
    old = example_of(Record)
    value = {**old, **more, "connection": {**old["connection"], **more}, "epoch": 3}
    stored = StoredRecord(record=parsed(Record, json.dumps(value).encode(), "record.json"), etag="e")
    converter = PLAIN.payload_converter
    (seen,) = converter.from_payloads(converter.to_payloads([stored]), [StoredRecord])
    written = seen.record.model_copy(update={"epoch": 4, "updated_by": "op-2"})
    assert json.loads(written.model_dump_json()) == {**value, "epoch": 4, "updated_by": "op-2"}


@pytest.mark.parametrize(
    "name", ["Record", "LatestLabels", "Policy", "SubscriberState", "Claim", "AuditEntry"]
)
def test_a_newer_form_is_refused_by_an_error_that_passes_with_the_upgrade(name: str) -> None:
    value = {**example_of(NOUNS[name]), "schema_version": 8, "kind": "unheard of"}
    with pytest.raises(LabelbridgeError) as refusal:
        parsed(NOUNS[name], json.dumps(value).encode(), "blob")
    assert refusal.value.code == "record_newer"
    assert not refusal.value.final
    assert refusal.value.data == {"blob": "blob", "form": "8"}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b'{"schema_version": "x"}', b"\xff", b'{"project": 1}']
)
def test_what_is_none_of_our_forms_is_unreadable_and_not_called_newer(data: bytes) -> None:
    with pytest.raises(LabelbridgeError) as refusal:
        parsed(Record, data, "blob")
    assert refusal.value.code == "record_unreadable"


# Requests: what is not known is not done.

REQUESTS = [one.__name__ for one in get_args(get_args(Request)[0])]


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_with_an_option_that_this_version_does_not_know_is_refused(kind: str) -> None:
    model = NOUNS[kind]
    request: Any = model.model_validate({**example_of(model), "only_newer": True})
    with pytest.raises(LabelbridgeError) as refusal:
        judge(status(), request)
    assert refusal.value.code == "worker_too_old"
    assert "only_newer" in refusal.value.message


def test_an_option_deep_in_a_request_is_noticed_too() -> None:
    connect = NOUNS["ConnectRequest"]
    value = example_of(connect)
    request: Any = connect.model_validate({**value, "job": {**value["job"], "region": "west"}})
    with pytest.raises(LabelbridgeError, match=r"job\.region"):
        judge(status(), request)


def test_a_key_means_the_same_request_whatever_version_asks() -> None:
    submission = Submission.model_validate({**example_of(Submission), "request": {"kind": "sync"}})

    class NewerSync(SyncRequest):
        gently: bool = False

    asked, gently = NewerSync(), NewerSync(gently=True)
    assert submission.model_copy(update={"request": asked}).digest == submission.digest
    assert submission.model_copy(update={"request": gently}).digest != submission.digest
    assert submission.model_copy(update={"request": SyncRequest(merge=True)}).digest != submission.digest


# Labels.


@pytest.mark.parametrize("file", SNAPSHOTS, ids=lambda file: file.stem)
def test_a_snapshot_of_an_older_version_reads_as_the_same_labels(file: Path) -> None:
    content = file.read_bytes()
    kept = json.loads(file.with_suffix(".json").read_text())
    found = decode(content, expected_id=hashlib.sha256(content).hexdigest())
    assert labels_digest(io.BytesIO(content)) == kept["digest"]
    assert (found.documents, found.labels, found.counts) == (
        kept["documents"],
        kept["labels"],
        kept["counts"],
    )


def test_there_is_a_snapshot_to_read() -> None:
    assert SNAPSHOTS


def example_of(model: type[Model]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{PRODUCT}.json").read_text())[model.__name__]
    return found


def status() -> ProjectStatus:
    ref = ProjectRef.model_validate(example_of(ProjectRef))
    return ProjectStatus(project=ref, known=True, connected=True)


def with_more(value: Any) -> Any:
    """The value as a newer version writes it: a field more wherever a noun stands."""
    if isinstance(value, list):
        return [with_more(one) for one in value]
    if not isinstance(value, dict) or value.keys() & {"number", "text", "language", "azureml", "not_begun"}:
        return value
    return {**{name: with_more(one) for name, one in value.items()}, "only_newer": {"number": 7}}


def contains(whole: Any, part: Any) -> bool:
    """True if every value of `part` stands in `whole`, which may have more fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def unknown(model: Model) -> list[str]:
    return list(fields_unknown(model))


def fields_unknown(value: Any) -> Iterator[str]:
    if isinstance(value, Model):
        yield from value.model_extra or {}
        for _, one in value:
            yield from fields_unknown(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from fields_unknown(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from fields_unknown(one)
