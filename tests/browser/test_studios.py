"""The labeling pages: what a person marks is what the studio stores, and a gate that closes loses nothing."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from labelbridge.local import certificates
from labelbridge.local.api import segment
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.seed import ADMIN, SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.local.studios import language_studio
from labelbridge.model import ProjectKind, arm_name
from tests.browser.accessibility import serious_findings
from tests.browser.marking import mark_by_keyboard, mark_by_mouse
from tests.browser.people import People
from tests.conftest import NewProject
from tests.local.servers import LabelingSite, LocalAzure, eventually
from tests.projects import write_folder

MARKUP = "</script><b>bold</b>"
TEXT = f"\U0001f600 Ann went\r\nto Rome with Ben.\r\n{MARKUP}\r\n"
"""An emoji and a line end count two in Language; markup is text like any other."""


@pytest.fixture(scope="module")
def pen(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> SeededProject:
    """A project whose first document has an emoji and CRLF and no labels."""
    folder = tmp_path_factory.mktemp("pen")
    write_folder(folder, ProjectKind.ENTITIES, documents=11, labelled=0)
    (folder / "a.txt").write_bytes(TEXT.encode())
    return make_project(stack.tenant, ProjectFolder.read(folder), name=f"pen-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def lock(stack: Stack, pen: SeededProject) -> Iterator[Callable[[bool], None]]:
    """Shuts (True) and opens the project's gate past the product, as somebody in the portal could."""
    admin = stack.tenant.caller(ADMIN)

    def set_lock(locked: bool) -> None:
        body = {"settings": {"isLabelingLocked": locked}}
        admin.language("PATCH", stack.tenant.language_endpoint, f"/{segment(pen.ref.name)}", body)

    yield set_lock
    set_lock(False)


def desk(stack: Stack, project: SeededProject, document: str) -> str:
    """Address of the Language page."""
    account = arm_name(project.ref.language_resource)
    return f"{stack.place.base_url}/studio/language/{account}/{project.ref.name}?document={document}"


def stored(stack: Stack, project: SeededProject, document: str) -> Any:
    """What Language holds."""
    ann = stack.tenant.caller("ann")
    return language_studio(ann, project.ref, stack.tenant.language_endpoint).view().labels[document]


def gate_is(stack: Stack, project: SeededProject, *, open_: bool) -> None:
    """Wait until the label endpoints take labels, or take none: a gate is late."""
    studio = language_studio(stack.tenant.caller("ann"), project.ref, stack.tenant.language_endpoint)
    eventually(lambda: studio.view().open, lambda found: found is open_)


def test_what_a_person_marks_is_what_the_studio_stores(
    people: People, stack: Stack, pen: SeededProject
) -> None:
    page = people.open("ann", desk(stack, pen, "a.txt"))
    expect(page.get_by_role("textbox", name="Text of")).to_contain_text(MARKUP)
    mark_by_mouse(page, "Rome", "City")
    mark_by_keyboard(page, line=0, words=1, number=1)
    mark_by_mouse(page, "Ben", "Product")
    expect(page.get_by_role("list", name="Marked").get_by_role("listitem")).to_have_count(3)
    page.get_by_role("button", name="Remove Product from “\U0001f600”").click()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved at")).to_be_visible()
    units = TEXT.encode("utf-16-le")
    labels = stored(stack, pen, "a.txt")
    words = [
        units[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le") for one in labels
    ]
    assert [(word, one["category"]) for word, one in zip(words, labels, strict=True)] == [
        ("Rome", "City"),
        ("Ben", "Product"),
    ]
    expect(page.get_by_role("link", name="a.txt")).to_contain_text("labelled")
    page.reload()
    expect(page.locator("#text mark")).to_have_text(["Rome", "Ben"])
    people.picture(page, "studio-language")
    assert not people.complaints


def test_a_gate_that_closes_shuts_the_editor_without_a_reload_and_keeps_unsaved_work(
    people: People, stack: Stack, pen: SeededProject, lock: Callable[[bool], None]
) -> None:
    page = people.open("ann", desk(stack, pen, "d001.txt"))
    mark_by_keyboard(page, line=0, words=2, number=1)
    lock(True)
    expect(page.get_by_role("status").filter(has_text="Labeling is disabled here")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    expect(page.get_by_role("region", name="Not saved")).to_be_visible()
    kept = page.get_by_role("textbox", name="Your work on d001.txt").input_value()
    people.picture(page, "studio-closed")
    page.reload()
    expect(page.get_by_role("textbox", name="Your work on d001.txt")).to_have_value(kept)
    assert stored(stack, pen, "d001.txt") is None
    lock(False)
    expect(page.get_by_text("Labeling is enabled again.")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Saved at")).to_be_visible()
    assert len(stored(stack, pen, "d001.txt")) == 1
    assert not people.complaints


def test_a_label_refused_at_the_gate_is_shown_with_its_code_and_not_lost(
    people: People, stack: Stack, pen: SeededProject, lock: Callable[[bool], None]
) -> None:
    page = people.open("ben", desk(stack, pen, "d002.txt"))
    page.route("**/standing", lambda route: route.abort())  # the page must not learn of it beforehand
    mark_by_keyboard(page, line=0, words=1, number=2)
    lock(True)
    gate_is(stack, pen, open_=False)
    page.keyboard.press("Control+s")
    expect(page.get_by_role("region", name="Not saved")).to_contain_text("LabelingLocked")
    expect(page.get_by_role("textbox", name="Your work on d002.txt")).to_have_value(re.compile("^City: "))
    assert stored(stack, pen, "d002.txt") is None
    lock(False)
    gate_is(stack, pen, open_=True)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Saved at")).to_be_visible()
    assert len(stored(stack, pen, "d002.txt")) == 1
    assert not people.complaints


@pytest.mark.parametrize(
    ("kind", "keys", "expected"),
    [
        (ProjectKind.SINGLE_LABEL, "23", "Praise"),
        (ProjectKind.MULTI_LABEL, "132", ["Billing", "Delivery", "Praise"]),
    ],
)
def test_classes_are_chosen_by_number_keys(
    people: People, stack: Stack, new_project: NewProject, kind: ProjectKind, keys: str, expected: Any
) -> None:
    project = new_project(kind, labelled=0)
    page = people.open("ann", desk(stack, project, "d000.txt"))
    assert serious_findings(page) == []
    page.get_by_role("radio" if kind is ProjectKind.SINGLE_LABEL else "checkbox").first.focus()
    for key in keys:
        page.keyboard.press(key)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved at")).to_be_visible()
    assert stored(stack, project, "d000.txt") == expected
    page.reload()
    expect(page.get_by_role("status").filter(has_text="Labelled.")).to_be_visible()
    expect(page.locator("#classes :checked")).to_have_count(1 if isinstance(expected, str) else 3)
    assert not people.complaints


def test_spans_in_the_azure_ml_studio_are_counted_as_that_studio_counts(
    people: People, stack: Stack, tmp_path: Path
) -> None:
    certs = certificates.ensure(stack.directory / "certificates")
    azure = LocalAzure.create(tmp_path / "azure", stack.azurite, certs, offset_unit="codepoint")
    azure.start()
    try:
        site = LabelingSite.make(azure.tenant(), {"a.txt": TEXT})
        job = site.job("spans")
        page = people.open("ann", f"{azure.place.base_url}/studio")
        page.get_by_role("link", name=job.name).click()
        mark_by_mouse(page, "Ann", "Person")
        mark_by_mouse(page, "Rome", "Place")
        page.keyboard.press("Control+s")
        expect(page.get_by_text("Saved at")).to_be_visible()
        (item,) = job.studio("GET").body["items"]
        words = [TEXT[one["offsetStart"] : one["offsetEnd"]] for one in item["labels"]]
        assert words == ["Ann", "Rome"]
        page.reload()
        expect(page.locator("#text mark")).to_have_text(words)
        assert serious_findings(page) == []
        job.arm("POST", "/pause")
        expect(page.get_by_role("status").filter(has_text="No Language project names it.")).to_be_visible()
    finally:
        azure.stop()
    assert not people.complaints


def test_the_studios_are_accessible_in_light_and_dark_and_on_a_narrow_screen(
    people: People, stack: Stack, pen: SeededProject
) -> None:
    looks: dict[str, dict[str, Any]] = {
        "ann": {},
        "ben": {"color_scheme": "dark"},
        "admin": {"color_scheme": "dark", "viewport": {"width": 390, "height": 800}},
    }
    for name, options in looks.items():
        page = people.open(name, f"{stack.place.base_url}/studio", **options)
        assert serious_findings(page) == []
        page.goto(desk(stack, pen, "a.txt"))
        mark_by_keyboard(page, line=0, words=2, number=1)
        assert serious_findings(page) == []
        overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(overflow)
    page = people.open("stranger", f"{stack.place.base_url}/studio/sign-in")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Who are you today?")).to_be_visible()
    assert serious_findings(page) == []
    assert not people.complaints


def test_who_has_no_role_sees_no_project_and_gets_a_page_that_says_so(
    people: People, stack: Stack, pen: SeededProject
) -> None:
    page = people.open("stranger", f"{stack.place.base_url}/studio")
    expect(page.get_by_text("No project that you may see.")).to_be_visible()
    page.goto(desk(stack, pen, "a.txt"))
    expect(page.get_by_role("heading", name="403 Forbidden")).to_be_visible()
    assert serious_findings(page) == []


def test_an_address_that_was_asked_for_is_reached_after_signing_in_and_no_other(
    people: People, stack: Stack, pen: SeededProject
) -> None:
    wanted = desk(stack, pen, "d003.txt")
    assert people.open("ann", wanted).url == wanted
    away = f"{stack.place.base_url}/studio/sign-in?next=https%3A%2F%2Fevil.example%2F"
    assert people.open("ben", away).url == f"{stack.place.base_url}/studio"
