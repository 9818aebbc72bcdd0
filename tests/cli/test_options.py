"""Option values are read as people write them, or refused."""

from datetime import timedelta

import pytest
import typer

from labelbridge.cli.operations import which_labels
from labelbridge.cli.options import KindName, duration
from labelbridge.errors import LabelbridgeError
from labelbridge.model import ProjectKind

ID = "9f" * 32


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("45", 45), ("1.5s", 1.5)],
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "30x", "m30", "-5s", "1h 30m", "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


@pytest.mark.parametrize(
    ("labels", "extra", "expected"),
    [
        ("latest", None, "latest"),
        ("as-is", None, "as-is"),
        (ID, None, ID),
        (ID.upper(), None, ID),
        (f"snapshot {ID}", None, ID),
        (f"snapshot:{ID}", None, ID),
        ("snapshot", ID, ID),
    ],
)
def test_labels_name_one_set(labels: str, extra: str | None, expected: str) -> None:
    assert which_labels(labels, extra) == expected


@pytest.mark.parametrize(("labels", "extra"), [("latest", ID), ("a b c", None), ("", None)])
def test_labels_that_name_no_set_or_two_are_refused(labels: str, extra: str | None) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        which_labels(labels, extra)
    assert caught.value.code == "input_invalid"


def test_each_project_kind_has_a_short_name() -> None:
    assert {name.kind for name in KindName} == set(ProjectKind)
