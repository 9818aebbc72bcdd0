"""The pure comparison of a project with its record."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from labelbridge.drift import (
    CLOSABLE,
    PROJECT_TAG,
    REMEDIES,
    Facts,
    JobFacts,
    ProjectFacts,
    compare,
    decided,
    same,
)
from labelbridge.model import (
    Actor,
    Claim,
    Connection,
    DriftCode,
    JobRef,
    OperationKind,
    Phase,
    ProjectKind,
    ProjectRef,
    Record,
    Studio,
    Transition,
)

GROUP = "/subscriptions/s/resourceGroups/g/providers"
PROJECT = ProjectRef(language_resource=f"{GROUP}/Microsoft.CognitiveServices/accounts/a", name="letters")
WORKSPACE = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/w"
JOB, OLD = JobRef(workspace=WORKSPACE, name="job"), JobRef(workspace=WORKSPACE, name="old")
ADA = Actor(object_id="o", name="Ada")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ASSET = f"{WORKSPACE}/data/documents/versions/1"
LINK = JOB.resource_id
CONNECTION = Connection(
    job=JOB, datastore="d", container="letters", data_asset=ASSET, connected_at=NOW, connected_by=ADA
)
RECORD = Record(
    project=PROJECT, kind=ProjectKind.ENTITIES, connection=CONNECTION, retired=(OLD,), updated_at=NOW
)
IN_AZUREML = RECORD.model_copy(update={"active": Studio.AZUREML, "epoch": 1})
ALONE = RECORD.model_copy(update={"connection": None})


def claim(project: ProjectRef = PROJECT) -> Claim:
    return Claim(job=JOB, project=project, operation_id="000001-connect", actor=ADA, claimed_at=NOW)


LANGUAGE = ProjectFacts(
    locked=False, aml_project_path=LINK, kind=ProjectKind.ENTITIES, multilingual=False, container="letters"
)
CONNECTED = JobFacts(JOB, exists=True, tags={PROJECT_TAG: PROJECT.key}, data_id=ASSET.upper())
FACTS = Facts(
    project=LANGUAGE,
    job=CONNECTED,
    retired=(JobFacts(OLD, exists=True, archived=True),),
    link=LINK,
    claims=((JOB, claim()), (OLD, claim())),
)
FACTS_IN_AZUREML = replace(FACTS, project=replace(LANGUAGE, locked=True), job=replace(CONNECTED, gated=False))


def language(**changes: object) -> Facts:
    return replace(FACTS, project=replace(LANGUAGE, **changes))  # type: ignore[arg-type]


def job(**changes: object) -> Facts:
    return replace(FACTS, job=replace(CONNECTED, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("record", "facts"), [(RECORD, FACTS), (IN_AZUREML, FACTS_IN_AZUREML)])
def test_a_project_that_is_as_its_record_says_does_not_differ(record: Record, facts: Facts) -> None:
    assert compare(record, facts) == ()


@pytest.mark.parametrize(
    ("record", "facts", "code"),
    [
        (IN_AZUREML, replace(FACTS_IN_AZUREML, project=LANGUAGE), DriftCode.LANGUAGE_OPEN),
        (RECORD, job(gated=False), DriftCode.AZUREML_OPEN),
        (RECORD, replace(FACTS, retired=(JobFacts(OLD, exists=True, gated=False),)), DriftCode.RETIRED_OPEN),
        (RECORD, language(locked=True), DriftCode.LANGUAGE_SHUT),
        (IN_AZUREML, replace(FACTS_IN_AZUREML, job=CONNECTED), DriftCode.AZUREML_SHUT),
        (RECORD, language(aml_project_path=None), DriftCode.LINK_DIFFERS),
        (ALONE, replace(FACTS, job=None, link=None), DriftCode.LINK_FOREIGN),
        (RECORD, replace(FACTS, claims=((JOB, None), (OLD, claim()))), DriftCode.CLAIM_MISSING),
        (
            RECORD,
            replace(FACTS, claims=((JOB, claim(PROJECT.model_copy(update={"name": "other"}))),)),
            DriftCode.CLAIM_FOREIGN,
        ),
        (RECORD, replace(FACTS, job=JobFacts(JOB, exists=False)), DriftCode.JOB_MISSING),
        (RECORD, job(archived=True), DriftCode.JOB_ARCHIVED),
        (RECORD, job(tags={}), DriftCode.JOB_DIFFERS),
        (RECORD, job(data_id="another"), DriftCode.JOB_DIFFERS),
        (RECORD, replace(FACTS, project=None), DriftCode.PROJECT_MISSING),
        (RECORD, language(multilingual=True), DriftCode.PROJECT_DIFFERS),
        (RECORD, language(kind=None), DriftCode.PROJECT_DIFFERS),
        (RECORD, language(container="elsewhere"), DriftCode.PROJECT_DIFFERS),
    ],
)
def test_each_difference_is_found_alone_and_says_what_to_do(
    record: Record, facts: Facts, code: DriftCode
) -> None:
    (found,) = compare(record, facts)
    assert found.code is code
    assert found.message
    assert found.remedy == REMEDIES[code]
    (closing,) = decided((found,), "close")
    assert closing.outcome == ("found" if code in CLOSABLE else "reported")
    assert decided((found,), "report")[0].outcome == "reported"
    assert decided((found,), "close", (code,))[0].outcome == "reported"


def test_what_must_be_shut_comes_first() -> None:
    facts = replace(job(gated=False), project=replace(LANGUAGE, locked=True), claims=((JOB, None),))
    found = [drift.code for drift in compare(RECORD, facts)]
    assert found == [DriftCode.AZUREML_OPEN, DriftCode.LANGUAGE_SHUT, DriftCode.CLAIM_MISSING]


def test_a_record_that_an_operation_is_changing_is_not_compared() -> None:
    transition = Transition(
        operation_id="000002-switch",
        kind=OperationKind.SWITCH,
        source=Studio.LANGUAGE,
        target=Studio.AZUREML,
        epoch=1,
        phase=Phase.GATING,
        actor=ADA,
        started_at=NOW,
    )
    assert compare(RECORD.model_copy(update={"transition": transition}), language(locked=True)) == ()


def test_the_gate_of_a_project_that_was_never_connected_is_not_our_affair() -> None:
    never = ALONE.model_copy(update={"retired": (), "epoch": 1})
    facts = Facts(project=replace(LANGUAGE, locked=True, aml_project_path=None))
    assert compare(never, facts) == ()


def test_the_record_of_an_import_that_was_undone_says_nothing_of_a_project() -> None:
    assert compare(ALONE.model_copy(update={"retired": ()}), Facts(project=None)) == ()


def test_what_became_of_a_difference_does_not_make_it_another() -> None:
    found = compare(RECORD, language(locked=True))
    assert same(found, decided(found, "report"))
    assert not same(found, ())


def test_every_difference_has_a_remedy() -> None:
    assert set(REMEDIES) == set(DriftCode)
