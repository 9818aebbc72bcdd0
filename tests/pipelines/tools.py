"""The environments that hold what is too large for the tests' own: Airflow, and Azure ML's loader."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
COMPONENTS = ROOT / "deploy" / "azureml" / "components"
AIRFLOW, AZUREML = "LABELBRIDGE_AIRFLOW", "LABELBRIDGE_AZUREML"


def needs(variable: str, target: str) -> pytest.MarkDecorator:
    """Skip a test, before any stack is started for it, unless a make target names its environment."""
    reason = f"in an environment of its own, minutes to install: make {target}"
    return pytest.mark.skipif(variable not in os.environ, reason=reason)


def program(variable: str, name: str) -> Path:
    """A program of the environment that the variable names."""
    return Path(os.environ[variable]).resolve() / "bin" / name
