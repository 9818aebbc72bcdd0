"""Helm's own engine on the chart, in a process of its own: `python -m tests.deploy.helm < cases.json`.

Prevents a Go runtime, with its signal handlers, inside the process of all other tests.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.deploy.tools import DEPLOY, ROOT, module

CHART = DEPLOY / "helm" / "labelbridge"
RELEASE, NAMESPACE = "labelbridge", "labeling"
OLDEST, NEWEST = "1.27", "1.37"
"""Versions of Kubernetes: the oldest that the chart admits, the newest whose schemas are at hand."""


@dataclass(frozen=True)
class Rendered:
    """What Helm made of one set of values."""

    error: str | None
    lint: list[dict[str, Any]]
    files: dict[str, str]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The Kubernetes objects."""
        return list(self._objects())

    def _objects(self) -> Iterator[dict[str, Any]]:
        for name, text in self.files.items():
            if name.endswith(".yaml"):
                yield from (one for one in yaml.safe_load_all(text) if one)

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The object of that kind and name."""
        (found,) = [o for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
        return found


def render(cases: dict[str, Any]) -> dict[str, Rendered]:
    """Lint and render the chart with each set of values."""
    module("helm_python")
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.helm"],
        cwd=ROOT,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: Rendered(**fields) for name, fields in json.loads(done.stdout).items()}


def _main() -> None:
    helm = module("helm_python")
    answers = {}
    for name, values in json.load(sys.stdin).items():
        report = helm.lint(CHART, values, strict=True, namespace=NAMESPACE, kube_version=f"v{OLDEST}.0")
        try:
            with helm.Chart.load(CHART) as chart:
                # The library validates values apart from rendering; `helm template` does both.
                chart.validate_schema(chart.merge_values(values))
                files, error = chart.render(values, name=RELEASE, namespace=NAMESPACE), None
        except helm.HelmError as failure:
            files, error = {}, str(failure)
        answers[name] = {"error": error, "lint": report["messages"], "files": files}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    _main()
