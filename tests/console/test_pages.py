"""The console's pages over the real stack: what they show, what they refuse, and one connect from form to commit."""

import asyncio
import re
import threading
from dataclasses import dataclass
from html import unescape

import httpx
import pytest

from labelbridge.errors import CATALOGUE
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import Stack
from labelbridge.model import ProjectKind
from tests.console.serving import Site
from tests.projects import write_folder

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
INLINE = re.compile(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=|javascript:", re.I)
"""What a strict content security policy would refuse."""
PATIENCE = 300


@dataclass
class Visitor:
    """Somebody with a browser, on the pages of one project."""

    site: Site
    browser: httpx.Client
    project: SeededProject

    def at(self, page: str) -> str:
        return f"/projects/{self.project.ref.key}/{page}"

    def see(self, page: str, **headers: str) -> str:
        answer = self.browser.get(self.at(page), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, page: str, **fields: str) -> httpx.Response:
        """Send a form as the page would: from this origin, with the session's token."""
        data = {"csrf_token": self.site.csrf(self.browser), **fields}
        headers = {"origin": self.site.url}
        return self.browser.post(self.at(page), data=data, headers=headers, follow_redirects=False)


def hidden_of(text: str) -> dict[str, str]:
    """The hidden fields of the last form of a page: the one that starts the act."""
    form = text[text.rindex("<form method") :]
    return {name: unescape(value) for name, value in HIDDEN.findall(form)}


@pytest.fixture(scope="module")
def project(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> SeededProject:
    """One project that all tests here look at."""
    folder = write_folder(tmp_path_factory.mktemp("pages") / "p", ProjectKind.MULTI_LABEL, documents=12)
    return make_project(stack.tenant, folder, name="pages-1")


@pytest.fixture(scope="module")
def olga(console: Site, project: SeededProject) -> Visitor:
    """An owner."""
    return Visitor(console, console.signed_in("olga"), project)


@pytest.fixture(scope="module")
def fresh(olga: Visitor, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """The same owner on a project that nobody connects."""
    folder = write_folder(tmp_path_factory.mktemp("pages") / "f", ProjectKind.ENTITIES, documents=12)
    return Visitor(olga.site, olga.browser, make_project(stack.tenant, folder, name="pages-2"))


@pytest.fixture(scope="module")
def rita(console: Site, project: SeededProject) -> Visitor:
    """A reader."""
    return Visitor(console, console.signed_in("rita"), project)


FIELDS = {
    "job": "pages-job",
    "datastore": "",
    "vendor_on": "on",
    "vendor": "<b>Contoso & Sons</b>",
    "instructions": "Mark each product.\n\nNot <i>cities</i>.",
}


@dataclass
class Connected:
    """The connect of the project, as its owner did it and as a live page showed it."""

    reviewed: str
    misspelt: httpx.Response
    first: httpx.Response
    second: httpx.Response
    live: str


@pytest.fixture(scope="module")
def connected(olga: Visitor, stack: Stack) -> Connected:
    """Review, a misspelt confirmation, then the same form twice; watched to its end."""
    fields = {"workspace": stack.tenant.workspace, **FIELDS}
    reviewed = olga.send("connect", step="review", **fields).text
    hidden = hidden_of(reviewed) | {"step": "start"}
    hidden.pop("csrf_token")
    misspelt = olga.send("connect", **hidden, typed="pages")
    again = hidden_of(misspelt.text)
    again.pop("csrf_token")
    first = olga.send("connect", **again, typed=olga.project.ref.name)
    second = olga.send("connect", **again, typed=olga.project.ref.name)
    return Connected(reviewed, misspelt, first, second, watched(olga, "connect committed"))


def watched(visitor: Visitor, until: str) -> str:
    """Everything that the live page was sent until it says `until`."""
    seen: list[str] = []
    with visitor.browser.stream("GET", visitor.at("live?on=labeling"), timeout=PATIENCE) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            seen.append(line)
            if until in line.casefold():
                return "\n".join(seen)
    raise AssertionError(f"the stream ended before {until!r}:\n{seen[-5:]}")


# Before it is connected


def test_the_fleet_lists_a_project_that_nobody_asked_anything_of(fresh: Visitor) -> None:
    text = fresh.browser.get("/", params={"q": "pages-2"}).text
    assert fresh.at("labeling") in text
    assert "Not connected" in text


def test_a_search_by_htmx_answers_with_the_table_alone(olga: Visitor) -> None:
    headers = {"hx-request": "true", "hx-target": "div#fleet"}
    text = olga.browser.get("/", params={"q": "no-such-project"}, headers=headers).text
    assert "No project matches" in text
    assert "<html" not in text


def test_a_project_that_is_not_there_is_an_error_page_with_code_and_remedy(olga: Visitor) -> None:
    answer = olga.browser.get("/projects/contoso-12345678.nowhere/labeling")
    assert answer.status_code == 404
    assert "project_unknown" in answer.text
    assert "Check the name and the Language resource" in answer.text


def test_a_reader_sees_the_acts_and_may_not_start_one(rita: Visitor) -> None:
    text = rita.see("labeling")
    assert "Needs the role owner." in text
    assert 'href="' + rita.at("connect") not in text
    for act in ("connect", "train", "switch", "disconnect", "sync", "reconcile"):
        assert rita.browser.get(rita.at(act)).status_code == 403
        assert rita.send(act, step="start").status_code == 403


def test_an_act_that_is_not_legal_now_is_refused_with_the_code_of_the_command_line(fresh: Visitor) -> None:
    answer = fresh.browser.get(fresh.at("switch"))
    assert answer.status_code == 409
    assert "not_connected" in answer.text
    assert CATALOGUE["not_connected"].title in unescape(answer.text)


def test_a_connect_says_what_is_wrong_with_its_fields_and_keeps_the_others(
    fresh: Visitor, stack: Stack
) -> None:
    fields = {"workspace": stack.tenant.workspace, "job": "no spaces", "instructions": "Keep me."}
    answer = fresh.send("connect", step="review", **fields)
    assert answer.status_code == 422
    assert "no spaces" in answer.text
    assert "Keep me." in answer.text


def test_pages_bring_the_scripts_that_make_them_live(olga: Visitor) -> None:
    """They are installed by `make setup`; nothing comes from elsewhere."""
    scripts = re.findall(r'<script src="([^"]+)"', olga.browser.get("/").text)
    assert [one.partition("?")[0] for one in scripts] == ["/static/vendor/htmx.js", "/static/console.js"]
    for one in scripts:
        assert olga.browser.get(one).status_code == 200


# Connecting


def test_the_review_shows_findings_the_plan_and_that_it_is_permanent(connected: Connected) -> None:
    text = connected.reviewed
    assert "Everything that it needs is there." in text
    assert "This is permanent." in text
    assert "claim the labeling job" in unescape(text)
    assert "Type the project&#39;s name" in text or "Type the project's name" in text


def test_what_people_typed_never_becomes_markup(connected: Connected) -> None:
    assert "<b>Contoso" not in connected.reviewed
    assert "&lt;b&gt;Contoso &amp; Sons" in connected.reviewed
    assert hidden_of(connected.reviewed)["instructions"] == FIELDS["instructions"]


def test_a_misspelt_name_starts_nothing(connected: Connected) -> None:
    assert connected.misspelt.status_code == 422
    assert "not_confirmed" in connected.misspelt.text


def test_the_same_form_sent_twice_starts_one_operation(connected: Connected) -> None:
    assert connected.first.status_code == connected.second.status_code == 303
    assert connected.first.headers["location"] == connected.second.headers["location"]
    assert re.search(r"started=000001-connect-[0-9a-f]{8}$", connected.first.headers["location"])


def test_a_live_page_shows_the_steps_as_they_go_and_the_end(connected: Connected) -> None:
    assert 'hx-target="#operation"' in connected.live
    assert 'aria-current="step"' in connected.live
    assert "Nobody can label right now" in connected.live
    said = re.findall(r"Connect: step (\d+) of 13", connected.live)
    assert said == sorted(said, key=int)
    assert len(set(said)) > 2


# When it is connected


PAGES = (
    "labeling",
    "training",
    "snapshots",
    "history",
    "settings",
    "doctor",
    "switch",
    "sync",
    "train",
    "disconnect",
)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_anything_inline(olga: Visitor, connected: Connected, page: str) -> None:
    text = olga.see(page)
    assert not INLINE.search(text), INLINE.search(text)
    assert text.count("<h1>") == text.count("<main ") == 1
    assert olga.project.ref.name in text


def test_project_settings_show_the_connection(olga: Visitor, connected: Connected) -> None:
    text = olga.see("settings")
    assert "Manage Azure Machine Learning connections" in text
    assert "pages-job" in text
    assert "&lt;b&gt;Contoso &amp; Sons" in text
    assert "olga" in text


def test_the_history_names_who_asked_and_how_it_ended(olga: Visitor, connected: Connected) -> None:
    text = olga.see("history")
    operation = connected.first.headers["location"].rpartition("=")[2]
    assert "olga" in text
    assert "committed" in text
    shown = olga.see(f"operations/{operation}")
    assert "commit" in shown
    assert "look at both gates again" in shown


def test_the_chart_counts_and_training_choices_come_from_snapshots(
    olga: Visitor, connected: Connected
) -> None:
    assert "From the last snapshot" in olga.see("labeling")
    train = olga.see("train")
    assert "Choose label origin" in train
    assert '<option value="' in train


def test_two_snapshots_are_compared_by_document(olga: Visitor, connected: Connected) -> None:
    ids = re.findall(r'name="before" value="([0-9a-f]{64})"', olga.see("snapshots"))
    assert len(ids) >= 2, "a connect keeps Language's labels and what the new job held"
    text = olga.see(f"snapshots/diff?before={ids[1]}&after={ids[0]}")
    assert "Labels added" in text
    assert "d000.txt" in text
    assert "Billing" in olga.see(f"snapshots/{ids[0]}") + olga.see(f"snapshots/{ids[1]}")


def test_a_training_on_a_name_that_azure_would_refuse_is_not_started(
    olga: Visitor, connected: Connected
) -> None:
    answer = olga.send("train", step="start", model="not a name", origin="latest", key="0" * 32)
    assert answer.status_code == 422
    assert "input_invalid" in answer.text


def test_a_switch_to_where_labeling_is_already_is_refused_with_its_remedy(
    olga: Visitor, connected: Connected
) -> None:
    answer = olga.send("switch", step="start", to="language", key="1" * 32)
    assert answer.status_code == 409
    assert "already_active" in answer.text
    assert CATALOGUE["already_active"].remedy in answer.text


def test_cancelling_what_does_not_run_is_refused(olga: Visitor, connected: Connected) -> None:
    assert "This operation is not running." in olga.see("cancel?operation=000009-switch-12345678")
    assert olga.send("cancel", operation="000009-switch-12345678").status_code == 404
    assert olga.send("cancel", operation="../../other").status_code == 404


def test_a_form_without_the_sessions_token_is_refused(olga: Visitor, connected: Connected) -> None:
    answer = olga.browser.post(
        olga.at("sync"), data={"step": "start", "key": "2" * 32}, headers={"origin": olga.site.url}
    )
    assert answer.status_code == 403
    assert "cross_site" in answer.text


def test_the_fleet_says_who_labels_where_and_since_when(olga: Visitor, connected: Connected) -> None:
    async def listed() -> str:
        """The list may be two seconds old."""
        while True:
            text = olga.browser.get("/", params={"q": "pages-job"}).text
            if "1 of " in text:
                return text
            await asyncio.sleep(0.2)

    text = asyncio.run(asyncio.wait_for(listed(), PATIENCE))
    assert "Language Studio" in text
    assert "data-ago" in text


def test_live_streams_end_when_nobody_reads_them(olga: Visitor, connected: Connected) -> None:
    feeds = olga.site.app.state.pages.feeds
    with olga.browser.stream("GET", olga.at("live"), timeout=PATIENCE) as stream:
        lines = stream.iter_lines()  # Kept: an iterator that nobody holds closes the connection.
        next(lines)
        assert feeds.watched == frozenset({olga.project.ref})
    gone = threading.Event()
    for _ in range(PATIENCE * 10):
        if not feeds.watched:
            return
        gone.wait(0.1)
    raise AssertionError("somebody still looks at a project that nobody watches")
