"""The operators and the sensor in a real Airflow, which runs whole DAGs (`airflow dags test`)."""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelbridge.airflow.attaching import TaskTry
from labelbridge.client import Labelbridge
from labelbridge.local.stack import Stack
from labelbridge.model import AuditEntry, OperationKind, ProjectRef
from tests.conftest import NewProject
from tests.pipelines.tools import AIRFLOW, EXAMPLES, needs, program

pytestmark = [needs(AIRFLOW, "test-airflow"), pytest.mark.timeout(600)]
RETRIES = 2
"""Of the task that loses its worker."""
DAGS = Path(__file__).with_name("dags")
DEFERRED = "running trigger in line"
"""What `airflow dags test` says when a task has deferred and its trigger runs."""


@dataclass(frozen=True)
class Airflow:
    """An Airflow with a home and a database of its own."""

    program: Path
    variables: dict[str, str]

    async def run(self, *arguments: str, watch: Callable[[str], None] | None = None) -> tuple[int, str]:
        """Run a command to its end; its exit code and what it said, each line also to `watch`."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            env=self.variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            async for line in process.stdout:
                lines.append(line.decode(errors="replace"))
                if watch is not None:
                    watch(lines[-1])
            return await process.wait(), "".join(lines)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def test(
        self, dag: str, *moment: str, conf: dict[str, str], watch: Callable[[str], None] | None = None
    ) -> tuple[int, str]:
        """Run a DAG once, tasks and triggers in one process."""
        return await self.run("dags", "test", dag, *moment, "--conf", json.dumps(conf), watch=watch)

    def next_tries(self, dag: str, task: str) -> list[TaskTry]:
        """What Airflow's database says of a task's instances, as the next try of each."""
        query = (
            "SELECT dag_id, run_id, task_id, map_index, try_number + 1, max_tries FROM task_instance"
            " WHERE dag_id = ? AND task_id = ? ORDER BY map_index"
        )
        database = Path(self.variables["AIRFLOW_HOME"]) / "airflow.db"
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(query, (dag, task)).fetchall()
        names = ("dag_id", "run_id", "task_id", "map_index", "try_number", "max_tries")
        return [TaskTry.of(**dict(zip(names, row, strict=True)), retries=RETRIES) for row in rows]


@pytest.fixture
async def airflow(stack: Stack, tmp_path: Path) -> Airflow:
    """Airflow with the examples' DAGs and ours, as the stack's operator."""
    command = program(AIRFLOW, "airflow")
    folder = tmp_path / "dags"
    folder.mkdir()
    for dag in (EXAMPLES / "airflow" / "labels_dag.py", DAGS / "tried_dag.py"):
        shutil.copy(dag, folder)
    made = Airflow(
        command,
        {
            **os.environ,
            **stack.environment("operator"),
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "NO_COLOR": "1",
        },
    )
    code, said = await made.run("db", "migrate")
    assert code == 0, said
    return made


async def _operations(bridge: Labelbridge, project: ProjectRef, kind: OperationKind) -> list[AuditEntry]:
    return [one for one in await bridge.history(project) if one.kind is kind]


async def _connected(bridge: Labelbridge, new_project: NewProject) -> ProjectRef:
    project = new_project(documents=12, labelled=12).ref
    await bridge.connect_project(project, job=f"job-{project.name}", timeout=120)
    return project


async def test_the_example_trains_on_exactly_what_it_synced_and_a_refusal_is_final(
    airflow: Airflow, bridge: Labelbridge, new_project: NewProject
) -> None:
    # Not connected: refused at once, with the code and what to do, although there are retries.
    project = new_project(documents=12, labelled=12).ref
    train = {"project": project.name, "model": "nightly"}
    code, said = await airflow.test("labels_train", conf=train)
    assert code != 0
    assert "not_connected" in said
    assert "labelbridge connect" in said
    assert "UP_FOR_RETRY" not in said.upper().replace(" ", "_")

    await bridge.connect_project(project, job=f"job-{project.name}", timeout=120)
    code, said = await airflow.test("labels_train", conf=train)
    assert code == 0, said
    assert said.count(DEFERRED) == 2
    (synced,) = await _operations(bridge, project, OperationKind.SYNC)
    (trained,) = await _operations(bridge, project, OperationKind.TRAIN)
    assert synced.result is not None
    assert synced.result.snapshot is not None
    assert trained.result is not None
    assert trained.result.model is not None
    assert trained.result.model.label == "nightly"
    assert trained.result.model.snapshot == synced.result.snapshot.id
    assert trained.result.model.labels == synced.result.snapshot.id


async def test_a_task_that_lost_its_worker_finds_its_operation_and_clearing_begins_its_count_anew(
    airflow: Airflow, bridge: Labelbridge, new_project: NewProject, tmp_path: Path
) -> None:
    both = [await _connected(bridge, new_project) for _ in range(2)]
    path = tmp_path / "report.json"
    asked = {"projects": " ".join(one.name for one in both), "report": str(path)}
    code, said = await airflow.test("tried", conf=asked)
    assert code == 0, said
    assert said.count("the worker is lost") >= 2
    for project, answer in zip(both, json.loads(path.read_text()), strict=True):
        (synced,) = await _operations(bridge, project, OperationKind.SYNC)
        assert synced.result is not None
        assert synced.result.snapshot is not None
        assert answer == synced.result.snapshot.model_dump(mode="json")

    # `airflow dags test` never runs a cleared task: what Airflow counts for it is read from its database.
    retried = airflow.next_tries("tried", "sync")
    assert [(one.try_number, one.first_try) for one in retried] == [(3, 1), (3, 1)]
    code, said = await airflow.run("tasks", "clear", "tried", "--yes")
    assert code == 0, said
    cleared = airflow.next_tries("tried", "sync")
    assert [(one.try_number, one.first_try) for one in cleared] == [(3, 3), (3, 3)]


async def test_the_sensor_waits_for_somebody_elses_sync_that_is_new_enough(
    airflow: Airflow, bridge: Labelbridge, new_project: NewProject, tmp_path: Path
) -> None:
    project, path = await _connected(bridge, new_project), tmp_path / "report.json"
    before = await bridge.sync(project, timeout=120)
    waiting = asyncio.Event()

    def watch(line: str) -> None:
        if DEFERRED in line:
            waiting.set()

    run = asyncio.create_task(
        airflow.test("waits", watch=watch, conf={"projects": project.name, "report": str(path)})
    )
    said = asyncio.create_task(waiting.wait())
    await asyncio.wait({run, said}, return_when=asyncio.FIRST_COMPLETED)
    assert waiting.is_set(), run.result()[1]
    after = await bridge.sync(project, timeout=120)
    code, output = await run
    assert code == 0, output
    answer = json.loads(path.read_text())
    assert answer == after.model_dump(mode="json")
    assert answer["taken_at"] > before.model_dump(mode="json")["taken_at"]
