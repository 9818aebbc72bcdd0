"""What the examples and the steps of Azure ML say is run as it stands, against the local Azure."""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelbridge.client import Labelbridge
from labelbridge.local.demo_evidence import RECORDS_CONTAINER
from labelbridge.local.seed import RECORDS_ACCOUNT
from labelbridge.local.stack import Stack
from tests.conftest import NewProject
from tests.deploy.tools import module
from tests.pipelines.tools import COMPONENTS, EXAMPLES


def _run(stack: Stack, *command: str | Path, **variables: str) -> str:
    """Run a program as an operator of the stack, who has `labelbridge` on the path; its standard output."""
    done = subprocess.run(
        [str(part) for part in command],
        env={
            **os.environ,
            **stack.environment("operator"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REQUESTS_CA_BUNDLE": str(stack.tenant.place.authority),
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def _step(stack: Stack, name: str, folder: Path, inputs: dict[str, str], outputs: tuple[str, ...]) -> Path:
    """Run a component's command as Azure ML would: inputs and outputs put in, what has no input left out."""
    command: str = yaml.safe_load((COMPONENTS / f"{name}.yaml").read_text())["command"]
    values = {f"inputs.{key}": value for key, value in inputs.items()}
    values |= {f"outputs.{one}": str(folder / f"{name}-{one}") for one in outputs}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{(\S+?)\}\}", lambda found: values[found[1]], text)

    def optional(found: re.Match[str]) -> str:
        return found[1] if set(re.findall(r"\$\{\{(\S+?)\}\}", found[1])) <= set(values) else ""

    _run(
        stack,
        "sh",
        "-c",
        filled(re.sub(r"\$\[\[(.*?)\]\]", optional, command)),
        AZUREML_RUN_ID=f"run-{name}-{folder.name}",
    )
    return folder / f"{name}-{outputs[0]}"


async def test_steps_scripts_and_the_marker_carry_the_same_labels(
    stack: Stack, bridge: Labelbridge, new_project: NewProject, tmp_path: Path
) -> None:
    project = new_project(documents=12, labelled=12).ref
    await bridge.connect_project(project, job=f"job-{project.name}", timeout=300)
    before = await bridge.history(project)
    place = {
        "project": project.name,
        "language_resource": project.language_resource,
        "registry_account": RECORDS_ACCOUNT,
        "temporal_address": stack.temporal.address,
        "temporal_namespace": "default",
        "timeout": "120s",
    }
    synced = _step(stack, "sync", tmp_path, {**place, "format": "azureml"}, ("result", "labels"))
    snapshot = json.loads(synced.read_text())["snapshot"]["id"]
    assert len((tmp_path / "sync-labels").read_text().splitlines()) == 12

    trained = _step(
        stack,
        "train",
        tmp_path,
        {**place, "model": "steps", "train_percent": "80", "synced": str(synced)},
        ("result",),
    )
    assert json.loads(trained.read_text())["model"]["snapshot"] == snapshot

    # The marker, read with nothing but Azure's own clients, names the same labels, once.
    container = f"{stack.tenant.place.storage_endpoint.format(account=RECORDS_ACCOUNT)}/{RECORDS_CONTAINER}"
    latest: list[str | Path] = [
        sys.executable,
        EXAMPLES / "latest_labels.py",
        container,
        project.key,
        tmp_path,
    ]
    assert _run(stack, *latest) == snapshot
    assert hashlib.sha256((tmp_path / f"{snapshot}.jsonl").read_bytes()).hexdigest() == snapshot
    assert _run(stack, *latest) == ""

    model = json.loads(
        _run(stack, EXAMPLES / "shell" / "nightly.sh", project.name, "nightly", uuid.uuid4().hex)
    )
    assert (model["label"], model["snapshot"]) == ("nightly", snapshot)
    done = [one.kind.value for one in await bridge.history(project)][len(before) :]
    assert done == ["sync", "train", "sync", "train"]

    # Who waits for a sync of somebody else gets its labels; one that began before the look does not count.
    script = EXAMPLES / "shell" / "after_people.sh"
    waiting = asyncio.create_task(asyncio.to_thread(_run, stack, script, project.name, "wc", "-l"))
    while not waiting.done():
        await bridge.sync(project, timeout=300)
    assert (await waiting).strip() == "12"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The example for GitHub Actions."""
    # YAML 1.1 reads the key `on` as true; GitHub does not.
    text = (EXAMPLES / "github" / "labels.yml").read_text().replace("\non:", '\n"on":')
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_github_takes_the_workflow(workflow: dict[str, Any]) -> None:
    schemas = Path(module("check_jsonschema").__file__).parent / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "github-workflows.json").read_text())
    problems = [one.message for one in module("jsonschema").Draft7Validator(schema).iter_errors(workflow)]
    assert not problems


def test_the_workflows_commands_and_the_scripts_are_well_formed(
    workflow: dict[str, Any], tmp_path: Path
) -> None:
    scripts = sorted((EXAMPLES / "shell").glob("*.sh"))
    assert len(scripts) == 2
    for number, step in enumerate(
        one for job in workflow["jobs"].values() for one in job["steps"] if "run" in one
    ):
        scripts.append(tmp_path / f"{number}.sh")
        scripts[-1].write_text(step["run"])
        # Values of a workflow reach a shell through variables only: put into the text they would be code.
        assert "${{" not in step["run"]
    for script in scripts:
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
