"""The whole story through the console, with a person labeling in both local studios.

One test on purpose: each step needs the one before, and what is proved is that they follow each other in
front of people who never reload a page.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from labelbridge.local.api import Caller
from labelbridge.local.referee import Labels
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.local.studios import azureml_studio, language_studio
from labelbridge.model import JobRef, ProjectKind, arm_name
from tests.browser.accessibility import serious_findings
from tests.browser.marking import mark_by_keyboard, mark_by_mouse
from tests.browser.people import PATIENCE, People
from tests.projects import write_folder

OPERATION = 4 * PATIENCE
"""Milliseconds for an operation to end; alone on the machine the longest takes about fifteen seconds."""
INSTRUCTIONS = "Mark products and cities. \U0001f4e6 is no product."


@pytest.fixture(scope="module")
def letters(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> SeededProject:
    """A project of twelve letters, six of them labelled."""
    folder = write_folder(tmp_path_factory.mktemp("letters"), ProjectKind.ENTITIES, documents=12, labelled=6)
    return make_project(stack.tenant, folder, name=f"letters-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def console(stack: Stack, letters: SeededProject) -> Iterator[str]:
    """Address of the console, which finds the project there when it starts."""
    assert letters.ref
    part = stack.console if "console" in stack.names else stack.add_console()
    part.start()
    yield part.address
    part.stop()


@dataclass
class Story:
    """Where everything is, and what people look at."""

    people: People
    stack: Stack
    project: SeededProject
    console: str
    job: JobRef

    @property
    def name(self) -> str:
        return self.project.ref.name

    def pages(self, tab: str) -> str:
        """Address of one of the project's pages."""
        return f"{self.console}/projects/{self.project.ref.key}/{tab}"

    def language(self, document: str) -> str:
        account = arm_name(self.project.ref.language_resource)
        place = self.stack.place.base_url
        return f"{place}/studio/language/{account}/{self.name}?document={document}"

    def azureml(self, document: str) -> str:
        _, _, subscription, _, group, *_ = self.job.workspace.split("/")
        place = f"{self.stack.place.base_url}/studio/azureml/{subscription}/{group}"
        return f"{place}/{arm_name(self.job.workspace)}/{self.job.name}?document={document}"

    def canonical(self) -> tuple[Labels, Labels]:
        """What Language and Azure ML hold, in the form that both share."""
        ann = self.stack.tenant.caller("ann")
        studios = (
            language_studio(ann, self.project.ref, self.stack.tenant.language_endpoint),
            azureml_studio(ann, self.job, self.stack.offset_unit),
        )
        first, second = (
            {
                document: studio.canonical(self.project.kind, studio.text(document), labels)
                for document, labels in studio.view().labels.items()
                if labels is not None
            }
            for studio in studios
        )
        return first, second


def activity(page: Page) -> Locator:
    """The activity pane."""
    return page.get_by_role("complementary", name="Activity pane")


def ended(page: Page, kind: str) -> None:
    """Wait, without a reload, until the operation on the page is over, and well over."""
    expect(activity(page)).to_contain_text(re.compile(rf"Last: {kind}\s+committed"), timeout=OPERATION)


def stay(page: Page) -> None:
    """From here on the page must not be loaded again; see `stayed`."""
    page.evaluate("window.stayed = true")


def stayed(page: Page) -> bool:
    """True if it was not."""
    return bool(page.evaluate("window.stayed === true"))


def closed(page: Page, now: str) -> None:
    """The studio's banner names where people label now."""
    banner = page.get_by_role("status").filter(has_text="Labeling is disabled here")
    expect(banner).to_contain_text(now, timeout=OPERATION)
    expect(page.get_by_role("button", name="Save")).to_be_disabled()


def opened(page: Page) -> None:
    """The studio takes labels."""
    expect(page.get_by_role("button", name="Save")).to_be_enabled(timeout=OPERATION)


def save(page: Page) -> None:
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved at")).to_be_visible()


@contextmanager
def held_before_it_opens(story: Story) -> Iterator[None]:
    """The switch waits past its commit until the block ends, however slow the browsers are."""
    nobody = Caller(story.stack.place, None)
    fault = {"method": "POST", "path_regex": f"{story.job.name}/resume", "kind": "hang"}
    armed = nobody.request("POST", "/local/faults", fault).body["id"]
    try:
        yield
    finally:
        nobody.request("DELETE", f"/local/faults/{armed}")


def test_the_whole_story_through_the_console(
    people: People, stack: Stack, letters: SeededProject, console: str
) -> None:
    job = JobRef(workspace=stack.tenant.workspace, name=f"{letters.ref.name}-job")
    story = Story(people, stack, letters, console, job)
    admin = connect(story)
    ann_language, ann_azureml = label_in_language(story)
    operator = switch_to_azureml(story, ann_language, ann_azureml)
    refused(story)
    sync_and_train(story, operator)
    switch_back(story, operator, ann_language, ann_azureml)
    disconnect(story, admin)
    look_around(story)
    assert people.complaints == []


def connect(story: Story) -> Page:
    """The owner connects: fields, review, the typed name (wrong once), and the steps as they happen."""
    page = story.people.open("admin", story.console)
    assert serious_findings(page) == []
    page.get_by_role("searchbox", name="Search").fill(story.name)
    page.get_by_role("link", name=story.name).click()
    expect(page.get_by_role("heading", name="Data labeling")).to_be_visible()
    assert serious_findings(page) == []
    activity(page).get_by_role("link", name="Connect").click()
    page.get_by_role("textbox", name="Name of the labeling project to create").fill(story.job.name)
    page.get_by_role("textbox", name="Labeling instructions").fill(INSTRUCTIONS)
    page.get_by_role("switch", name="Use a vendor labeling company").check()
    page.get_by_role("textbox", name="Company").fill("Contoso Labels")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_text("This is permanent.")).to_be_visible()
    expect(page.get_by_text("Contoso Labels")).to_be_visible()
    assert serious_findings(page) == []
    page.get_by_role("textbox", name="Type the project's name").fill("another")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("not_confirmed")
    page.get_by_role("textbox", name="Type the project's name").fill(story.name)
    page.get_by_role("button", name="Connect").click()
    stay(page)
    ended(page, "connect")
    assert stayed(page)
    return page


def label_in_language(story: Story) -> tuple[Page, Page]:
    """A labeler opens both studios: Language takes labels, Azure ML says that Language does."""
    language = story.people.open("ann", story.language("d006.txt"))
    opened(language)
    mark_by_keyboard(language, line=0, words=2, number=1)
    save(language)
    azureml = story.people.open("ann", story.azureml("d007.txt"))
    closed(azureml, "Language Studio now")
    expect(azureml.get_by_text(INSTRUCTIONS)).to_be_visible()
    assert serious_findings(azureml) == []
    for page in (language, azureml):
        stay(page)
    return language, azureml


def switch_to_azureml(story: Story, language: Page, azureml: Page) -> Page:
    """The operator switches; the labeler sees one studio close and the other open, the operator each step."""
    page = story.people.open("operator", story.pages("labeling"))
    activity(page).get_by_role("link", name="Switch").click()
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    assert serious_findings(page) == []
    with held_before_it_opens(story):
        page.get_by_role("button", name=re.compile("Switch.* to Azure ML")).click()
        stay(page)
        expect(activity(page)).to_contain_text("Switch is running")
        expect(activity(page).locator("[aria-current=step]")).to_contain_text("open", timeout=OPERATION)
        closed(language, "Nobody labels at this moment")
        closed(azureml, "Nobody labels at this moment")
        another = story.people.open("operator", story.pages("train"))
        expect(another.get_by_role("alert")).to_contain_text("operation_running")
        another.goto(story.console)
        expect(another.get_by_role("row").filter(has_text=story.name)).to_contain_text("Switch")
        for seen in (page, language, another):
            assert serious_findings(seen) == []
        story.people.picture(another, "fleet")
        story.people.picture(page, "project-switching")
        another.close()
    ended(page, "switch")
    closed(language, "Azure Machine Learning data labeling now")
    opened(azureml)
    assert all(stayed(one) for one in (page, language, azureml))
    mark_by_mouse(azureml, "Oslo", "City")
    save(azureml)
    story.people.picture(page, "project")
    assert serious_findings(page) == []
    return page


def refused(story: Story) -> None:
    """Acts that are refused say so with code and remedy: by legality, and by role."""
    again = story.people.open("operator", f"{story.pages('switch')}?to=azureml")
    expect(again.get_by_role("alert")).to_contain_text("already_active")
    expect(again.get_by_role("alert")).to_contain_text("Nothing needs to be done.")
    assert serious_findings(again) == []
    again.close()
    for name, tab in (("viewer", "switch?to=language"), ("ann", "labeling")):
        page = story.people.open(name, story.pages(tab))
        expect(page.get_by_role("alert")).to_contain_text("role_missing")
        assert serious_findings(page) == []


def sync_and_train(story: Story, page: Page) -> None:
    """Labels go to Language, and a model is trained on the latest of them."""
    activity(page).get_by_role("link", name="Sync").click()
    page.get_by_role("button", name=re.compile("Sync")).click()
    ended(page, "sync")
    page.get_by_role("link", name="Training jobs").click()
    page.get_by_role("link", name="Start a training job").click()
    page.get_by_role("textbox", name="Model name").fill("m1")
    expect(page.get_by_role("radio", name="Import latest labels from Azure Machine Learning")).to_be_checked()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name=re.compile("Train|Start")).click()
    page.get_by_role("link", name="Data labeling").click()
    ended(page, "train")
    page.get_by_role("link", name="Training jobs").click()
    expect(page.get_by_role("rowheader", name="m1")).to_be_visible()
    assert serious_findings(page) == []


def switch_back(story: Story, page: Page, language: Page, azureml: Page) -> None:
    """Labeling goes back to Language, and what was labelled in Azure ML is there."""
    page.goto(story.pages("labeling"))
    activity(page).get_by_role("link", name="Switch").click()
    page.get_by_role("button", name=re.compile("Switch.* to Language")).click()
    stay(page)
    ended(page, "switch")
    assert stayed(page)
    opened(language)
    closed(azureml, "Language Studio now")
    language.goto(story.language("d007.txt"))
    expect(language.locator("#text mark")).to_have_text(["Oslo"])
    in_language, in_azureml = story.canonical()
    assert in_language["d007.txt"] == in_azureml["d007.txt"]
    assert len(in_language["d006.txt"]) == 1


def disconnect(story: Story, page: Page) -> None:
    """The owner ends the connection for ever, by the typed name."""
    page.goto(story.pages("settings"))
    expect(page.get_by_role("heading", name="Manage Azure Machine Learning connections")).to_be_visible()
    assert serious_findings(page) == []
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("textbox", name="Type the project's name").fill(story.name)
    assert serious_findings(page) == []
    page.get_by_role("button", name=re.compile("Disconnect")).click()
    page.goto(story.pages("labeling"))
    ended(page, "disconnect")
    page.goto(story.pages("settings"))
    expect(page.get_by_text("The project is not connected.")).to_be_visible()
    expect(page.get_by_text(story.job.resource_id)).to_be_visible()


def look_around(story: Story) -> None:
    """Whoever may look sees who did what; pages are accessible in the dark and on a narrow screen, too."""
    page = story.people.open("viewer", story.pages("history"))
    for who, what in (
        ("admin", "connect"),
        ("operator", "switch"),
        ("operator", "train"),
        ("admin", "disconnect"),
    ):
        expect(page.get_by_role("row").filter(has_text=who).filter(has_text=what).first).to_be_visible()
    page.emulate_media(color_scheme="dark")
    for tab in ("history", "snapshots", "training", "settings", "labeling", "doctor"):
        page.goto(story.pages(tab))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert serious_findings(page) == []
    page.goto(story.console)
    assert serious_findings(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    for place in (
        story.console,
        *(story.pages(tab) for tab in ("labeling", "history", "snapshots", "training")),
    ):
        page.goto(place)
        assert serious_findings(page) == []
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), place
