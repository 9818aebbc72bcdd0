"""The filter language: read and written alike, refused with its place, and nothing of it leaks into a query."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelbridge import names
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.facts import STATES, Facts, facts_of, published, short
from labelbridge.fleet.visibility import ENTITIES, query_of, quoted
from labelbridge.fleet.where import DEEPEST, All, Any, Compare, Field, Not, Where, matches, parse
from labelbridge.model import (
    Actor,
    JobRef,
    OperationKind,
    ProjectKind,
    ProjectRef,
    ProjectStatus,
    ProjectSummary,
    RunningOperation,
)

RESOURCES = (
    "/subscriptions/s/resourceGroups/one/providers/Microsoft.CognitiveServices/accounts/Contoso",
    "/subscriptions/s/resourceGroups/two/providers/Microsoft.CognitiveServices/accounts/contoso",
    "/subscriptions/s/resourceGroups/(odd)/providers/Microsoft.CognitiveServices/accounts/fabrikam",
)
WORKSPACES = (
    "/subscriptions/s/resourceGroups/one/providers/Microsoft.MachineLearningServices/workspaces/emea",
    "none",
)
VALUES = {
    Field.NAME: st.sampled_from(["tickets", "Tickets", "in", "and", "a.b-c_d", "0"]),
    Field.KIND: st.sampled_from([kind.value for kind in ProjectKind] + ["unknown"]),
    Field.ACTIVE: st.sampled_from(["language", "azureml"]),
    Field.STATE: st.sampled_from(STATES),
    Field.RESOURCE: st.sampled_from([*map(str.casefold, RESOURCES), "contoso", "fabrikam", "not"]),
    Field.WORKSPACE: st.sampled_from([*map(str.casefold, WORKSPACES), "emea", "or"]),
    Field.ATTENTION: st.sampled_from(["none", "forbidden", "unavailable"]),
    Field.EPOCH: st.sampled_from(["0", "1", "42"]),
}


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    field = draw(st.sampled_from(list(Field)))
    values = draw(st.lists(VALUES[field], min_size=1, max_size=3, unique=True))
    return Compare(field, tuple(values), draw(st.booleans()))


def _join(kind: type[All] | type[Any]) -> "st.SearchStrategy[Where]":
    def made(parts: list[Where]) -> Where:
        flat: list[Where] = []
        for part in parts:
            flat += part.parts if isinstance(part, kind) else (part,)
        return kind(tuple(flat))

    return st.lists(filters, min_size=2, max_size=3).map(made)


filters: "st.SearchStrategy[Where]" = st.deferred(
    lambda: st.one_of(comparisons(), filters.map(Not), _join(All), _join(Any))
)
projects = st.builds(
    Facts,
    name=VALUES[Field.NAME],
    kind=VALUES[Field.KIND],
    active=VALUES[Field.ACTIVE],
    state=VALUES[Field.STATE],
    resource=st.sampled_from(RESOURCES),
    workspace=st.sampled_from(WORKSPACES),
    attention=VALUES[Field.ATTENTION],
    epoch=st.sampled_from([0, 1, 42]),
)


@given(filters)
def test_what_is_written_is_read_as_it_was(where: Where) -> None:
    assert parse(str(where)) == where


@given(filters, projects)
def test_the_query_holds_for_every_project_that_the_filter_matches(where: Where, project: Facts) -> None:
    asked = query_of(where).removeprefix(ENTITIES)
    if matches(where, project):
        assert holds(asked, project), asked


@given(comparisons(), projects)
def test_the_query_decides_alone_where_it_can(where: Compare, project: Facts) -> None:
    if where.field in (Field.NAME, Field.EPOCH) or any(value.startswith("/") for value in where.values):
        return
    assert holds(query_of(where).removeprefix(ENTITIES), project) is matches(where, project)


def holds(asked: str, project: Facts) -> bool:
    """Evaluate the condition of a query for a project, by Python's own reading of it."""
    if not asked:
        return True
    attributes = {
        names.STATE_ATTRIBUTE: project.state,
        names.ACTIVE_ATTRIBUTE: project.active,
        names.KIND_ATTRIBUTE: project.kind,
        names.ATTENTION_ATTRIBUTE: project.attention,
        names.RESOURCE_ATTRIBUTE: short(project.resource),
        names.WORKSPACE_ATTRIBUTE: short(project.workspace),
    }
    code = asked.removeprefix(" AND ")
    code = re.sub(r"(\w+) (NOT )?IN \((.*?)\)", lambda m: f"({m[1]} {m[2] or ''}in [{m[3]}])", code)
    code = code.replace("NOT in", "not in").replace("IS NULL", "is None")
    code = code.replace(" AND ", " and ").replace(" OR ", " or ")
    return bool(eval(code, {"__builtins__": {}}, attributes))


@given(st.text(max_size=30))
def test_no_value_gets_out_of_its_quotes(text: str) -> None:
    written = quoted(text)
    assert re.fullmatch(r"'(?:[^'\\]|''|\\\\)*'", written, re.DOTALL)
    assert written[1:-1].replace("''", "'").replace("\\\\", "\\") == text


@given(st.text(alphabet="abnoti=!(),'\" \\;%-/inadorname0", max_size=40))
def test_whatever_is_typed_is_read_or_refused_with_its_place(text: str) -> None:
    refusal: LabelbridgeError | None = None
    where: Where | None = None
    try:
        where = parse(text)
    except LabelbridgeError as error:
        refusal = error
    if refusal is not None:
        assert refusal.code == "where_invalid"
        assert 1 <= int(refusal.data["position"]) <= len(text) + 1
        assert refusal.remedy
    if where is not None:
        assert parse(str(where)) == where
        assert query_of(where).startswith(ENTITIES)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("name=a or name=b and name=c", "name=a or (name=b and name=c)"),
        ("not name=a and name=b", "(not name=a) and name=b"),
        ("name=a and (name=b and name=c)", "name=a and name=b and name=c"),
        ("NAME=a AND kind IN (Entities)", "name=a and kind=CustomEntityRecognition"),
        ("workspace = 'EMEA'", 'workspace="emea"'),
    ],
)
def test_not_binds_before_and_and_that_before_or(text: str, same: str) -> None:
    assert parse(text) == parse(same)


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("colour=red", 1, "Fields are name, kind"),
        ("active=excel", 8, "azureml, language"),
        ("active language", 8, "E.g."),
        ("name='tickets", 6, "Close the quotes"),
        ("(name=a", 8, "Close the parenthesis"),
        ("name=a name=b", 8, "`and` or `or`"),
        ("name=and", 6, "quotes"),
        ("epoch=minus", 7, "whole number"),
        ("resource=/subscriptions/s", 10, "whole ARM id"),
        ("name in (a, 'b; drop')", 13, "exactly"),
        ("not " * (DEEPEST + 1) + "name=a", 4 * DEEPEST + 1, "fewer parentheses"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, position: int, says: str) -> None:
    with pytest.raises(LabelbridgeError) as caught:
        parse(text)
    assert caught.value.code == "where_invalid"
    assert caught.value.data["position"] == str(position)
    assert says in caught.value.remedy


def test_nothing_said_is_everything() -> None:
    assert parse(" ") is None
    assert query_of(None) == ENTITIES


def test_two_resources_of_one_name_are_told_apart_by_their_whole_id() -> None:
    first = facts_of(ProjectStatus(project=ProjectRef(language_resource=RESOURCES[0], name="t"), known=True))
    for text, meant in (
        ("resource=contoso", True),
        (f"resource='{RESOURCES[0].upper()}'", True),
        (f"resource='{RESOURCES[1]}'", False),
        (f"resource!='{RESOURCES[1]}'", True),
    ):
        assert matches(parse(text), first) is meant, text


def test_what_an_entity_publishes_is_what_filters_read_of_its_status_and_of_its_summary() -> None:
    project = ProjectRef(language_resource=RESOURCES[0], name="tickets")
    running = RunningOperation(
        operation_id="000001-switch-1",
        workflow_id="w",
        kind=OperationKind.SWITCH,
        actor=Actor(object_id="ann"),
        started_at=datetime.now(UTC),
    )
    status = ProjectStatus(
        project=project,
        known=True,
        kind=ProjectKind.ENTITIES,
        connected=True,
        job=JobRef(workspace=WORKSPACES[0], name="job"),
        running=running,
    )
    assert dict(published(status)) == {
        names.STATE_ATTRIBUTE: "switching",
        names.ACTIVE_ATTRIBUTE: "language",
        names.KIND_ATTRIBUTE: "CustomEntityRecognition",
        names.ATTENTION_ATTRIBUTE: "none",
        names.RESOURCE_ATTRIBUTE: "contoso",
        names.WORKSPACE_ATTRIBUTE: "emea",
    }
    assert {name for name, _ in published(status)} == set(names.SEARCH_ATTRIBUTES)
    assert facts_of(ProjectSummary.of(status)) == facts_of(status)
