"""The whole local stack in one directory: certificates, Azurite, the local Azure, Temporal, workers.

Prevents stacks that are half up: parts start in order of need, each is awaited, a part that dies
unasked is reported with its log's tail, and everything ends with the process that started it. Ports,
keys, people and all state live in the directory, so any part (or all) can be killed and started again
with the same addresses.
"""

import json
import os
import ssl
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labelbridge.local import certificates, env, seed
from labelbridge.local.api import Place
from labelbridge.local.azurite import Azurite
from labelbridge.local.config import LocalConfig
from labelbridge.local.console import PRINCIPAL, ConsoleServer
from labelbridge.local.identity import TOKEN_PATH
from labelbridge.local.processes import Child, ChildError, Watchdog, free_port
from labelbridge.local.temporal import TemporalServer
from labelbridge.settings import Settings

UNHURRIED: Mapping[str, Any] = {"language": {"post_per_minute": 600, "get_per_minute": 6000}}
"""Language's quotas (10 and 100 a minute) times sixty: the fast margins make a minute of a second."""
PORTS = ("azurite", "temporal", "temporal-ui", "azure", "identity", "console")
TENANT_FILE = "tenant.json"
CONFIG_FILE = "azure.json"
WORKER_READY = "worker_ready"
"""What a worker logs once it polls."""


class Stack:
    """The local stack; a context manager, blocking or `async with`."""

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        tuned: bool = False,
        ui: bool = False,
        console: bool = False,
        local: Mapping[str, Any] = UNHURRIED,
        timing: Mapping[str, str] = env.FAST,
        variables: Mapping[str, str] | None = None,
        reconcile: str = "PT0S",
        on_death: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            directory: holds everything; an earlier run's is taken up again.
            workers: how many worker processes.
            tuned: Temporal with short timers, for tests.
            ui: also Temporal's web interface.
            console: also the console.
            local: fields of `LocalConfig` (nested) that differ from its defaults.
            timing: fields of `TimingSettings` for every process.
            variables: more variables of the environment for every process.
            reconcile: how often the fleet is held against its records (ISO 8601); never by default.
            on_death: told when a part dies unasked; prints to stderr by default.
        """
        self.directory = directory.resolve()
        self.logs = self.directory / "logs"
        self.failure: str | None = None
        """Message of the first part that died without being asked to."""
        self._options = {"tuned": tuned, "ui": ui}
        self._local = dict(local)
        self._timing = dict(timing)
        self._variables = dict(variables or {})
        self._reconcile = reconcile
        self._workers = workers
        self._console = console
        self._report = on_death or _print
        self._children: dict[str, Child] = {}
        self._tenant: seed.Tenant | None = None
        self._watchdog = Watchdog(lambda: list(self._children.values()), self._died)

    def start(self) -> Self:
        """Start every part and wait until each can serve; `ChildError` ends what was started."""
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            self._start_services()
            self._tenant = seed.make_tenant(self.place)
            self._tenant.save(self.directory / TENANT_FILE)
            self._watchdog.start()
            for _ in range(self._workers):
                self.add_worker()
            if self._console:
                self.add_console()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every part, workers first."""
        self._watchdog.stop()
        for child in reversed(list(self._children.values())):
            child.stop()

    def check(self) -> None:
        """Raise `ChildError` if a part died without being asked to."""
        if self.failure:
            raise ChildError(self.failure)

    def add_worker(self, *, await_ready: bool = True, variables: Mapping[str, str] | None = None) -> Child:
        """Start one more worker process, named `worker-1`, `worker-2`, ...; `variables` are its own."""
        name = f"worker-{1 + sum(name.startswith('worker-') for name in self._children)}"
        environment = self.environment("worker") | dict(variables or {})
        worker = _Worker(name, self.logs / f"{name}.log", environment, self.directory)
        self._children[name] = worker
        if await_ready:
            worker.start()
        else:
            worker.launch()
        return worker

    def add_console(self) -> ConsoleServer:
        """Start the console, registered with the local Entra; one for the stack."""
        console = ConsoleServer(
            self.directory,
            self.place,
            certificates.ensure(self.directory / "certificates"),
            port=self._ports()["console"],
            environment=self.environment(PRINCIPAL),
            logs=self.logs,
        )
        self._children["console"] = console
        console.start()
        return console

    def child(self, name: str) -> Child:
        """A part by name: `azurite`, `temporal`, `azure`, `worker-1`, ..., `console`."""
        return self._children[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parts, in the order in which they were started."""
        return tuple(self._children)

    def kill(self, name: str) -> None:
        """End a part with SIGKILL; it stays down until `restart`."""
        self._children[name].kill()

    def restart(self, name: str) -> None:
        """Start a part again at its old address (ending it first if it runs) and wait until it serves."""
        self._children[name].stop()
        self._children[name].start()

    @property
    def temporal(self) -> TemporalServer:
        """Temporal's part."""
        child = self._children["temporal"]
        assert isinstance(child, TemporalServer)
        return child

    @property
    def azurite(self) -> Azurite:
        """Blob's part."""
        child = self._children["azurite"]
        assert isinstance(child, Azurite)
        return child

    @property
    def console(self) -> ConsoleServer:
        """The console's part; `KeyError` if there is none."""
        child = self._children["console"]
        assert isinstance(child, ConsoleServer)
        return child

    @property
    def tenant(self) -> seed.Tenant:
        """Who and what there is; `ChildError` before `start`."""
        if self._tenant is None:
            raise ChildError("the stack was not started")
        return self._tenant

    @property
    def place(self) -> Place:
        """Addresses of the local Azure."""
        ports = self._ports()
        return Place(
            base_url=f"https://127.0.0.1:{ports['azure']}",
            identity_endpoint=f"http://127.0.0.1:{ports['identity']}{TOKEN_PATH}",
            authority=self.directory / "certificates" / "ca.pem",
            storage_endpoint=f"https://127.0.0.1:{ports['azurite']}/{{account}}",
        )

    @property
    def offset_unit(self) -> str:
        """Unit in which this Azure ML studio counts spans: `utf16` or `codepoint`."""
        return self._config().offset_unit

    def environment(self, principal: str) -> dict[str, str]:
        """Variables for a process that runs as that principal; see `env.environment`."""
        found = env.environment(
            self.tenant,
            principal,
            temporal_address=self.temporal.address,
            temporal_ui=self.temporal.ui_address,
            offset_unit=self.offset_unit,
            timing=self._timing,
            reconcile=self._reconcile,
        )
        return found | env.throttle(self._config()) | self._variables

    def settings(self, principal: str) -> Settings:
        """The settings that such a process loads."""
        nested: dict[str, Any] = {}
        for name, value in self.environment(principal).items():
            if not name.startswith("LABELBRIDGE_"):
                continue
            *sections, last = name.removeprefix("LABELBRIDGE_").lower().split("__")
            inner = nested
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[last] = value
        return Settings(_env_file=None, **nested)

    @contextmanager
    def acting_as(self, principal: str) -> Iterator[None]:
        """Let `DefaultAzureCredential` in this process be that principal for the block."""
        wanted = {k: v for k, v in self.environment(principal).items() if k.startswith("IDENTITY_")}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; `ChildError` if a part died unasked and nothing else went wrong."""
        self.stop()
        if error is None:
            self.check()

    async def __aenter__(self) -> Self:
        """Start, blocking: nothing useful can run before."""
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, as `__exit__`."""
        self.__exit__(kind, error, trace)

    def _start_services(self) -> None:
        ports = self._ports()
        made = certificates.ensure(self.directory / "certificates")
        azurite = Azurite(self.directory / "azurite", made, port=ports["azurite"], logs=self.logs)
        self._children["azurite"] = azurite
        temporal = TemporalServer(
            self.directory / "temporal",
            port=ports["temporal"],
            ui_port=ports["temporal-ui"],
            logs=self.logs,
            **self._options,
        )
        self._children["temporal"] = temporal
        config = self.directory / CONFIG_FILE
        self._config().save(config)
        command = [sys.executable, "-m", "labelbridge.local.server", "--config", str(config)]
        azure = Child("azure", command, self.logs / "azure.log", ready=self._azure_answers)
        self._children["azure"] = azure
        for child in (azurite, temporal, azure):
            child.launch()
        for child in (azurite, temporal, azure):
            child.await_ready()

    def _config(self) -> LocalConfig:
        ports, made = self._ports(), self.directory / "certificates"
        keys = json.loads((self.directory / "azurite" / "accounts.json").read_text())
        blob = {"endpoint": self.place.storage_endpoint, "keys": keys, "ca_file": made / "ca.pem"}
        base: dict[str, Any] = {
            "data_dir": self.directory / "azure",
            "port": ports["azure"],
            "identity_port": ports["identity"],
            "certificate": made / "server.pem",
            "private_key": made / "server.key",
            "blob": blob,
        }
        return LocalConfig.model_validate(base | self._local)

    def _azure_answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.place.authority)
        try:
            address = f"{self.place.base_url}/local/health"
            with urllib.request.urlopen(address, timeout=2, context=context) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ports(self) -> dict[str, int]:
        """Chosen once for the directory, so that every restart keeps its addresses."""
        file = self.directory / "ports.json"
        known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if missing := [name for name in PORTS if name not in known]:
            self.directory.mkdir(parents=True, exist_ok=True)
            known |= {name: free_port() for name in missing}
            file.write_text(json.dumps(known))
        return known

    def _died(self, message: str) -> None:
        self.failure = self.failure or message
        self._report(message)


class _Worker(Child):
    """A worker process; ready when it has said so since it was last started.

    It ends itself with EX_TEMPFAIL when it was paused for longer than an effect may live (a laptop
    that slept) and counts on a supervisor; here that is the watchdog.
    """

    def __init__(self, name: str, log: Path, environment: Mapping[str, str], directory: Path) -> None:
        command = [sys.executable, "-m", "labelbridge.cli.main", "worker"]
        variables = {**environment, "LABELBRIDGE_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1"}
        super().__init__(
            name,
            command,
            log,
            environment=variables,
            directory=directory,
            ready=self._said_so,
            started_again_after=(os.EX_TEMPFAIL,),
        )
        self._from = 0

    def launch(self) -> None:
        """Start it; what an earlier life logged does not count."""
        self._from = self.log.stat().st_size if self.log.exists() else 0
        super().launch()

    def _said_so(self) -> bool:
        return WORKER_READY.encode() in self.log.read_bytes()[self._from :]


def _print(message: str) -> None:
    sys.stderr.write(message + "\n")
