"""The manual and the threat model speak of what there is: alerts, tests, error codes, other pages."""

import re
from pathlib import Path

import pytest
import yaml

from labelbridge.errors import CATALOGUE
from tests.docs.errors_page import ROOT

DOCS = ROOT / "docs"
MANUAL = (DOCS / "operations.md").read_text()
THREATS = (DOCS / "threat-model.md").read_text()
RULES = sorted(
    path
    for path in (ROOT / "deploy").rglob("*alert*.y*ml")
    if "node_modules" not in path.parts and "test" not in path.stem
)


def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as a forge makes them, and those that are written out."""
    made = {
        re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-")
        for h in re.findall(r"^#+ (.+)$", text, re.M)
    }
    return made | set(re.findall(r'<a id="([^"]+)">', text))


def alerts(text: str) -> list[tuple[str, str]]:
    """Name and runbook of every alert in a file of Prometheus' rules."""
    found = yaml.safe_load(text) or {}
    rules = [rule for group in found.get("groups", ()) for rule in group.get("rules", ()) if "alert" in rule]
    return [(rule["alert"], str(rule.get("annotations", {}).get("runbook", ""))) for rule in rules]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_alert_has_a_section_that_says_what_to_do(path: Path) -> None:
    known = headings(MANUAL)
    for name, runbook in alerts(path.read_text()):
        assert name.lower() in known, f"docs/operations.md has no section {name}"
        assert not runbook or runbook.rpartition("#")[2] in known, runbook


def test_every_section_of_an_alert_says_what_it_means_and_what_to_do() -> None:
    sections = re.findall(r"^### (Labelbridge\w+)\n(.*?)(?=^##)", MANUAL, re.M | re.S)
    assert len(sections) >= 10
    assert [name for name, text in sections if "**Means** " not in text or "**Do** " not in text] == []


def test_an_alert_without_a_section_is_found() -> None:
    (planted,) = alerts("groups: [{rules: [{alert: NobodyWroteThis, expr: up}, {record: x, expr: up}]}]")
    assert planted[0].lower() not in headings(MANUAL)


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", THREATS))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", ["operations.md", "threat-model.md", "errors.md"])
def test_links_of_these_pages_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text()
    for target, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", text):
        linked = DOCS / target if target else DOCS / page
        assert linked.exists(), target
        assert not anchor or anchor in headings(linked.read_text()), f"{target}#{anchor}"


def test_codes_in_the_manual_are_codes() -> None:
    for code in re.findall(r"errors\.md#([a-z_]+)\)", MANUAL):
        assert code in CATALOGUE or code in headings((DOCS / "errors.md").read_text())
