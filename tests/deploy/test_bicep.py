"""The Bicep templates, as far as they can be judged without Bicep's compiler (see `bicep`)."""

import re
from pathlib import Path

import pytest

from labelbridge.azure import roles
from labelbridge.console import eventgrid
from labelbridge.local import rbac
from tests.deploy import bicep, helm

MAIN = bicep.HERE / "main.bicep"
OPERATORS = bicep.HERE / "modules" / "operators.bicep"
each_file = pytest.mark.parametrize("path", bicep.FILES, ids=lambda path: path.stem)


@each_file
def test_both_parsers_read_the_file(path: Path) -> None:
    assert bicep.declarations(path)
    assert bicep.errors(path) == []


@each_file
def test_every_name_is_declared_and_every_declaration_used(path: Path) -> None:
    found = bicep.declarations(path)
    values = {name for kind in ("parameters", "variables") for name in found.get(kind, {})}
    symbols = values | {name for kind in ("resources", "modules") for name in found.get(kind, {})}
    used = bicep.names_used(path)
    assert used - symbols - bicep.loop_names(path) - bicep.FUNCTIONS == set()
    assert values - used == set()
    assert bicep.functions_used(path) <= bicep.FUNCTIONS


def test_each_module_gets_its_parameters_and_gives_what_is_read_of_it() -> None:
    modules = bicep.declarations(MAIN)["modules"]
    assert {f"modules/{path.name}" for path in bicep.FILES if path != MAIN} == {
        m["detail"]["path"] for m in modules.values()
    }
    outputs = {}
    for name, called in modules.items():
        found = bicep.declarations(bicep.HERE / called["detail"]["path"])
        config = called["config"]
        given = set(config["params"] if "params" in config else config["config"]["params"])
        required = {n for n, p in found["parameters"].items() if p["default"] is None}
        assert required <= given <= set(found["parameters"]), name
        outputs[name] = set(found.get("outputs", {}))
    read = re.findall(r"(\w+)!?\.outputs\.(\w+)", MAIN.read_text())
    assert read
    assert all(output in outputs[name] for name, output in read)


@each_file
def test_every_resource_has_a_released_api_version(path: Path) -> None:
    for found in bicep.declarations(path).get("resources", {}).values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["api_version"]), found["type"]


def test_every_role_is_the_one_that_its_name_says() -> None:
    wanted = {
        "blobContributor": roles.STORAGE_BLOB_DATA_CONTRIBUTOR,
        "languageOwner": roles.LANGUAGE_OWNER,
        "languageReader": next(g for g, n in rbac.ROLES.items() if n == "Cognitive Services Language Reader"),
        "dataScientist": roles.AZUREML_DATA_SCIENTIST,
        "reader": roles.READER,
    }
    guid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    seen = set()
    for path in bicep.FILES:
        for name, value in re.findall(r"^var (\w+) = '([^']*)'$", path.read_text(), re.MULTILINE):
            if guid.fullmatch(value):
                assert value == wanted[name]
                seen.add(name)
    assert seen == set(wanted)


def test_the_operators_role_only_reads() -> None:
    text = OPERATORS.read_text()
    actions = re.search(r"actions: \[(.*?)\]", text, re.DOTALL)
    assert actions
    listed = re.findall(r"'(.*?)'", actions[1])
    assert listed
    assert all(action.endswith("/read") and "*" not in action for action in listed)
    assert "dataActions: []" in text


def test_the_operators_role_sees_of_labeling_what_azures_own_labelers_see() -> None:
    # Data Labeling - Labeler, c6decf44-fd0a-444c-a844-d653c394e7ab: its actions that read no labels.
    documented = {"labeling/projects/read", "labeling/projects/summary/read", "read"}
    prefix = "'Microsoft.MachineLearningServices/workspaces/"
    named = {
        line.split(prefix)[1].rstrip("'") for line in OPERATORS.read_text().splitlines() if prefix in line
    }
    assert named == documented


def test_exports_are_announced_where_the_console_listens() -> None:
    assert f"${{consoleUrl}}{eventgrid.PATH}'" in MAIN.read_text()
    events = (bicep.HERE / "modules" / "events.bicep").read_text()
    assert f"'{eventgrid.BLOB_CREATED}'" in events
    assert "/blobs/Labeling/export'" in events


def test_the_example_gives_every_parameter_that_has_no_default() -> None:
    example = (bicep.HERE / "example.bicepparam").read_text()
    given = set(re.findall(r"^param (\w+) = ", example, re.MULTILINE))
    declared = bicep.declarations(MAIN)["parameters"]
    required = {name for name, one in declared.items() if one["default"] is None}
    assert example.startswith("using 'main.bicep'\n")
    assert required <= given <= set(declared)


def test_the_identities_trust_the_service_accounts_that_the_chart_makes() -> None:
    declared = bicep.declarations(MAIN)["parameters"]
    for part in ("worker", "console"):
        assert declared[f"{part}ServiceAccount"]["default"] == f"{helm.RELEASE}-{part}"


def test_the_records_account_has_no_keys_and_nothing_public() -> None:
    text = (bicep.HERE / "modules" / "registry.bicep").read_text()
    for setting in (
        "allowSharedKeyAccess: false",
        "allowBlobPublicAccess: false",
        "minimumTlsVersion: 'TLS1_2'",
    ):
        assert setting in text
