"""`make demo`: the whole story on the local stack, shown as it happens, with a summary at the end.

Exit code 0 only if every step was verified by reading back and no acknowledged label is lost; 1
otherwise. Logs, the labelers' own log and all state stay in the directory until the next run.
"""

import argparse
import asyncio
import re
import shutil
import sys
import traceback
from pathlib import Path

from labelbridge.cli._exit import leave
from labelbridge.client import Labelbridge
from labelbridge.local.demo_evidence import Evidence
from labelbridge.local.demo_story import Story, StoryError
from labelbridge.local.demo_summary import summary
from labelbridge.local.demo_timeline import Timeline
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.labelers import Labelers
from labelbridge.local.processes import ChildError
from labelbridge.local.seed import SeededProject, make_project
from labelbridge.local.stack import CONFIG_FILE, TENANT_FILE, Stack
from labelbridge.model import JobRef
from labelbridge.samples import CLINIC

DIRECTORY = Path(".labelbridge/demo")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="labelbridge.local.demo", description="The whole story, live.")
    parser.add_argument("--data", type=Path, default=CLINIC, help="folder of *.txt and one labels file")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="for logs and state; emptied first")
    parser.add_argument("--seed", type=int, default=1, help="of the labelers' decisions")
    chosen = parser.parse_args(arguments)
    timeline = Timeline()
    try:
        folder = ProjectFolder.read(chosen.data)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"--data: {error}")
    _empty(chosen.directory)
    try:
        with timeline.showing():
            timeline.status(f"starting the local stack in {chosen.directory}")
            with Stack(chosen.directory, tuned=True, on_death=lambda _: None) as stack:
                return _run(stack, folder, timeline, chosen.seed)
    except (StoryError, ChildError) as error:
        timeline.event(f"The demo failed: {error}")
        timeline.event(f"Logs: {chosen.directory / 'logs'}")
        return 1


def _run(stack: Stack, folder: ProjectFolder, timeline: Timeline, seed: int) -> int:
    timeline.event(f"the local stack is up: {', '.join(stack.names)}")
    project = make_project(stack.tenant, folder, name=_name(folder.path))
    _introduce(project, folder, timeline)
    job = JobRef(workspace=stack.tenant.workspace, name=f"{project.ref.name}-labels")
    evidence = Evidence(stack.tenant, project, folder, job, stack.offset_unit)
    log = stack.directory / "labelers.jsonl"
    labelers = Labelers.of(stack.tenant, project, log, seed=seed, unit=stack.offset_unit)

    async def tell() -> Story:
        async with Labelbridge.connect(stack.settings("operator")) as bridge:
            story = Story(bridge, evidence, labelers, timeline, stack.check)
            await story.tell()
            return story

    with stack.acting_as("operator"):
        story = asyncio.run(tell())
    timeline.table("Summary", summary(story))
    timeline.event("Everything was verified." if story.passed else "NOT everything was verified.")
    timeline.status("stopping the local stack")
    return 0 if story.passed else 1


def _introduce(project: SeededProject, folder: ProjectFolder, timeline: Timeline) -> None:
    labelled = len(folder.labels["assets"]["documents"])
    timeline.event(
        f"project {project.ref.name}: {project.kind.value}, {len(project.documents)} documents,"
        f" {labelled} labelled, {len(project.categories)} categories"
    )
    for one in project.left_out:
        timeline.event(f"left out: {one.document}: {one.reason}")


def _name(path: Path) -> str:
    """A project name from the folder's: `[A-Za-z0-9_.-]`, at most 50 (Language service limits)."""
    return re.sub(r"[^A-Za-z0-9\-]+", "-", path.resolve().name).strip("-")[:40] or "demo"


def _empty(directory: Path) -> None:
    """Remove an earlier run's state, and nothing that is not such a state."""
    if directory.exists() and any(directory.iterdir()):
        known = [directory / name for name in (TENANT_FILE, CONFIG_FILE, "ports.json")]
        if not any(path.exists() for path in known):
            raise SystemExit(f"{directory} is not the state of an earlier run: name another --directory")
        shutil.rmtree(directory)


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 2
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # the process ends here, through `leave`, whatever happened
        traceback.print_exc()
        code = 1
    leave(code)
