"""The Language studio's label endpoints: what they accept, when they refuse, what the log says."""

from typing import Any

import pytest

from tests.local.language.lab import MULTI, NER, SINGLE, Lab, project_file, unique

DOCUMENTS = {"a.txt": "\U0001f600 Ann\r\n", "b.txt": "b", "c.pdf": "x", "empty.txt": "", "sub/d.txt": "d"}
CATEGORIES = ("Who", "City")


def project(lab: Lab, kind: str = NER, **settings: Any) -> str:
    name = unique()
    file = project_file(name, lab.container(DOCUMENTS), kind, categories=CATEGORIES, settings=settings)
    assert lab.finish(lab.call("POST", f"/{name}/:import", file))["status"] == "succeeded"
    return name


def lock(lab: Lab, name: str, locked: bool) -> None:
    assert lab.call("PATCH", f"/{name}", {"settings": {"isLabelingLocked": locked}}).status == 200


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (
            NER,
            [{"category": "Who", "offset": 3, "length": 3}, {"category": "City", "offset": 0, "length": 6}],
        ),
        (NER, []),
        (SINGLE, "Who"),
        (MULTI, ["Who", "City"]),
        (MULTI, []),
    ],
)
def test_a_label_is_stored_shown_logged_and_exported(lab: Lab, kind: str, labels: Any) -> None:
    name = project(lab, kind)
    ann = lab.tenant.caller("ann")
    accepted = lab.studio("PUT", name, "/a.txt/labels", {"labels": labels}, who=ann)
    assert accepted.status == 200
    listed = lab.studio("GET", name, who=ann).body
    assert listed["open"] is True
    assert listed["categories"] == list(CATEGORIES)
    assert [row["document"] for row in listed["documents"]] == ["a.txt", "b.txt"]
    shown = listed["documents"][0]
    assert shown["labels"] == labels
    assert shown["labeledBy"] == lab.tenant.principals["ann"].object_id
    assert listed["documents"][1] == {"document": "b.txt", "labels": None, "labeledBy": None, "at": None}
    one = lab.studio("GET", name, "/a.txt").body
    assert one["text"] == DOCUMENTS["a.txt"]
    assert one["labels"] == labels
    entry = lab.log(name)[-1]
    assert (entry["event"], entry["document"], entry["labels"]) == ("write", "a.txt", labels)
    assert entry["sequence"] == accepted.body["sequence"]
    (document,) = lab.export(name)["assets"]["documents"]
    assert document["location"] == "a.txt"
    if kind == NER:
        assert document["entities"] == [{"regionOffset": 0, "regionLength": 8, "labels": labels}]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (NER, [{"category": "Who", "offset": 1, "length": 2}]),
        (NER, [{"category": "Who", "offset": 7, "length": 2}]),
        (NER, [{"category": "Nobody", "offset": 3, "length": 3}]),
        (NER, [{"category": "Who", "offset": 3, "length": 3}] * 2),
        (NER, "Who"),
        (NER, None),
        (SINGLE, "Nobody"),
        (SINGLE, ["Who"]),
        (SINGLE, None),
        (MULTI, ["Nobody"]),
        (MULTI, ["Who", "Who"]),
        (MULTI, None),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_not_logged(lab: Lab, kind: str, labels: Any) -> None:
    name = project(lab, kind)
    refused = lab.studio("PUT", name, "/a.txt/labels", {"labels": labels})
    assert (refused.status, refused.code) == (400, "InvalidLabels")
    assert [row["event"] for row in lab.log(name)] == ["opened"]
    assert lab.export(name)["assets"]["documents"] == []


@pytest.mark.parametrize("document", ["missing.txt", "c.pdf", "empty.txt", "..%2Fx.txt"])
def test_what_is_no_document_cannot_be_labelled(lab: Lab, document: str) -> None:
    name = project(lab)
    assert lab.studio("PUT", name, f"/{document}/labels", {"labels": []}).status == 404
    assert lab.studio("GET", name, f"/{document}").status == 404


def test_a_lock_takes_effect_late_and_writes_until_then_are_accepted_and_logged_before_it(
    slow_lab: Lab,
) -> None:
    name = project(slow_lab)
    lock(slow_lab, name, True)
    accepted = 0
    while (answer := slow_lab.studio("PUT", name, "/b.txt/labels", {"labels": []})).status == 200:
        accepted += 1
    assert (answer.status, answer.code) == (409, "LabelingLocked")
    assert accepted > 0
    events = [row["event"] for row in slow_lab.log(name)]
    assert events == ["opened", *["write"] * accepted, "closed"]
    assert slow_lab.studio("GET", name).body["open"] is False
    lock(slow_lab, name, False)
    assert slow_lab.studio("PUT", name, "/b.txt/labels", {"labels": []}).status == 200
    assert [row["event"] for row in slow_lab.log(name)][-2:] == ["opened", "write"]


def test_an_unlock_overtakes_a_lock_that_has_not_taken_effect(slow_lab: Lab) -> None:
    name = project(slow_lab)
    lock(slow_lab, name, True)
    lock(slow_lab, name, False)
    slow_lab.finish(slow_lab.call("POST", f"/{name}/:export?stringIndexType=Utf16CodeUnit"))
    assert slow_lab.studio("PUT", name, "/b.txt/labels", {"labels": []}).status == 200
    assert "closed" not in [row["event"] for row in slow_lab.log(name)]


def test_labeling_needs_a_language_role_that_writes(lab: Lab) -> None:
    name = project(lab)
    reader = lab.principal("Cognitive Services Language Reader")
    assert lab.studio("GET", name, who=reader).status == 200
    assert lab.studio("PUT", name, "/b.txt/labels", {"labels": []}, who=reader).status == 403
    assert lab.studio("GET", name, who=lab.tenant.caller("stranger")).status == 403
    assert lab.studio("GET", unique()).status == 404
    ben = lab.tenant.caller("ben")
    assert lab.studio("PUT", name, "/b.txt/labels", {"labels": []}, who=ben).status == 200


def test_a_label_keeps_the_fields_of_its_document_and_its_place(lab: Lab) -> None:
    name = unique()
    rows = [
        {"location": d, "dataset": "Test", "mine": 1, "class": {"category": "Who"}}
        for d in ("b.txt", "a.txt")
    ]
    file = project_file(name, lab.container(DOCUMENTS), SINGLE, documents=rows)
    lab.finish(lab.call("POST", f"/{name}/:import", file))
    assert lab.studio("PUT", name, "/b.txt/labels", {"labels": "City"}).status == 200
    rows[0]["class"] = {"category": "City"}
    assert lab.export(name)["assets"]["documents"] == rows
