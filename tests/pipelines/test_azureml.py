"""The components of Azure ML say what Azure ML takes, and their commands do what they say."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.pipelines.tools import AZUREML, COMPONENTS, needs, program

PIPELINE = COMPONENTS.parent / "pipeline.yaml"
_LOADS = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
logging.disable()
from azure.ai.ml import load_component, load_job
from azure.ai.ml.entities import CommandComponent, PipelineJob
components, pipeline = sys.argv[1:-1], load_job(sys.argv[-1])
loaded = [load_component(path) for path in components]
assert all(isinstance(one, CommandComponent) for one in loaded) and isinstance(pipeline, PipelineJob)
json.dump({one.name: [one.is_deterministic, one.version] for one in loaded} | {"jobs": sorted(pipeline.jobs)}, sys.stdout)
"""


@pytest.mark.parametrize("name", ["sync", "train"])
def test_a_component_uses_each_of_its_inputs_and_outputs_and_is_never_cached(name: str) -> None:
    component = yaml.safe_load((COMPONENTS / f"{name}.yaml").read_text())
    assert component["is_deterministic"] is False
    used = set(re.findall(r"\$\{\{((?:inputs|outputs)\.\w+)\}\}", component["command"]))
    declared = {f"{side}.{one}" for side in ("inputs", "outputs") for one in component[side]}
    assert used == declared
    optional = {f"inputs.{one}" for one, its in component["inputs"].items() if its.get("optional")}
    assert optional == set(re.findall(r"\$\[\[.*?\$\{\{(inputs\.\w+)\}\}.*?\]\]", component["command"]))


def test_the_pipeline_gives_each_step_what_it_needs() -> None:
    pipeline = yaml.safe_load(PIPELINE.read_text())
    for step in pipeline["jobs"].values():
        inputs: dict[str, Any] = yaml.safe_load((PIPELINE.parent / step["component"]).read_text())["inputs"]
        needed = {one for one, its in inputs.items() if not its.get("optional") and "default" not in its}
        assert needed <= set(step["inputs"]) <= set(inputs)
        named = re.findall(r"parent\.inputs\.(\w+)", json.dumps(step["inputs"]))
        assert set(named) <= set(pipeline["inputs"])


@needs(AZUREML, "test-azureml")
def test_azure_mls_own_loader_takes_components_and_pipeline() -> None:
    python = program(AZUREML, "python")
    files = [*sorted(COMPONENTS.glob("*.yaml")), PIPELINE]
    done = subprocess.run([python, "-c", _LOADS, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "labelbridge_sync": [False, "0.1.0"],
        "labelbridge_train": [False, "0.1.0"],
        "jobs": ["sync", "train"],
    }
