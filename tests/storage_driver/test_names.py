"""Whatever a workflow is called, its blobs stay below their namespace and within Azure's rules for names."""

from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from temporalio.converter import StorageDriverActivityInfo, StorageDriverWorkflowInfo

from labelbridge.storage_driver._names import MAX_NAME, blob_name, is_blob_name, segment

DIGEST = "a" * 64
NASTY = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            ".",
            "..",
            "../..",
            "a/b",
            "a%2Fb",
            "d/sha256/x",
            "\\..\\",
            "a.",
            "...",
            "\0",
            "\u202e",
            "?#",
            "ü" * 400,
        ]
    ),
)
TARGETS = st.one_of(
    st.none(),
    st.builds(StorageDriverWorkflowInfo, namespace=NASTY, id=NASTY, run_id=NASTY, type=NASTY),
    st.builds(StorageDriverActivityInfo, namespace=NASTY, id=NASTY, run_id=NASTY, type=NASTY),
)


@given(TARGETS)
def test_a_name_never_leaves_its_prefix_and_can_be_told_from_any_other(
    target: StorageDriverWorkflowInfo | StorageDriverActivityInfo | None,
) -> None:
    name = blob_name(target, DIGEST)
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= MAX_NAME
    parts = name.split("/")
    assert parts[-3:] == ["d", "sha256", DIGEST]
    assert not {".", "..", ""} & set(parts)
    assert not any(part.endswith(".") for part in parts)
    assert "\\" not in name
    if target is not None:
        short = len(parts) == 4
        assert short or parts[:3] == ["v0", "ns", segment(target.namespace)]
    assert is_blob_name(name, DIGEST)
    assert not is_blob_name(name, "b" * 64)


@given(NASTY.filter(bool))
def test_a_segment_says_what_it_was_made_of(text: str) -> None:
    assert "/" not in segment(text)
    assert unquote(segment(text)) == text


def test_names_that_the_driver_never_makes_are_told() -> None:
    for name in (
        f"v0/ns/../other/d/sha256/{DIGEST}",
        f"v0/ns/a/wt/b/wi//ri/c/d/sha256/{DIGEST}",
        f"../v0/d/sha256/{DIGEST}",
        f"v1/d/sha256/{DIGEST}",
        "records/tickets.json",
        "",
    ):
        assert not is_blob_name(name, DIGEST)
