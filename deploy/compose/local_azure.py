"""The local Azure for a rehearsal in containers: Blob, identity, ARM, Language and labeling.

Prevents a rehearsal on another Temporal than the one that is rehearsed: `labelbridge dev` brings a
development server, this does not. It makes what a real tenant already has (people, roles, a sample
project), writes an env file for each process that takes part, says `ready`, and serves until SIGTERM.
"""

import argparse
import signal
import ssl
import sys
import threading
import urllib.request
from pathlib import Path

from labelbridge.local import certificates, env, seed
from labelbridge.local.api import Place
from labelbridge.local.azurite import Azurite
from labelbridge.local.config import LocalConfig
from labelbridge.local.console import PRINCIPAL, ConsoleServer
from labelbridge.local.folders import ProjectFolder
from labelbridge.local.identity import TOKEN_PATH
from labelbridge.local.processes import Child, Watchdog
from labelbridge.local.stack import UNHURRIED
from labelbridge.samples import CLINIC

PROJECT = "clinic"
READY = "ready"
"""File that is there while everything serves."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0 after a signal, 1 if a part died.

    Raises:
        ChildError: a part did not start; the message ends with its log's tail.
    """
    options = _options(arguments)
    directory: Path = options.directory.resolve()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ready = directory / READY
    ready.unlink(missing_ok=True)
    children = _services(directory, options)
    died: list[str] = []

    def report(message: str) -> None:
        died.append(message)
        ended.set()

    watchdog = Watchdog(lambda: children, report)
    try:
        for child in children:
            child.start()
        watchdog.start()
        _furnish(directory, options)
        ready.touch()
        sys.stderr.write(f"The local Azure serves at {_place(directory, options).base_url}\n")
        ended.wait()
    finally:
        ready.unlink(missing_ok=True)
        watchdog.stop()
        for child in reversed(children):
            child.stop()
    sys.stderr.writelines(f"{message}\n" for message in died)
    return 1 if died else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The local Azure, without a Temporal of its own.")
    parser.add_argument("--directory", type=Path, required=True, help="keeps all state")
    parser.add_argument("--temporal", required=True, help="address of Temporal, HOST:PORT")
    parser.add_argument("--namespace", default="default", help="namespace of Temporal")
    parser.add_argument("--temporal-ui", help="base address of Temporal's UI")
    parser.add_argument("--azure-port", type=int, default=10443, help="ARM, Language and the studios")
    parser.add_argument("--identity-port", type=int, default=10444, help="managed identity")
    parser.add_argument("--blob-port", type=int, default=10000, help="Azurite")
    parser.add_argument("--console-port", type=int, default=8443, help="where the console will serve")
    return parser.parse_args(arguments)


def _place(directory: Path, options: argparse.Namespace) -> Place:
    return Place(
        base_url=f"https://127.0.0.1:{options.azure_port}",
        identity_endpoint=f"http://127.0.0.1:{options.identity_port}{TOKEN_PATH}",
        authority=directory / "certificates" / "ca.pem",
        storage_endpoint=f"https://127.0.0.1:{options.blob_port}/{{account}}",
    )


def _services(directory: Path, options: argparse.Namespace) -> list[Child]:
    """Azurite and the local Azure, in the order in which they start."""
    made = certificates.ensure(directory / "certificates")
    place, logs = _place(directory, options), directory / "logs"
    azurite = Azurite(directory / "azurite", made, port=options.blob_port, logs=logs)
    config = directory / "azure.json"
    LocalConfig.model_validate(
        {
            "data_dir": directory / "azure",
            "port": options.azure_port,
            "identity_port": options.identity_port,
            "certificate": made.chain,
            "private_key": made.key,
            "blob": {"endpoint": place.storage_endpoint, "keys": azurite.accounts, "ca_file": made.authority},
            **UNHURRIED,
        }
    ).save(config)
    command = [sys.executable, "-m", "labelbridge.local.server", "--config", str(config)]
    return [azurite, Child("azure", command, logs / "azure.log", ready=lambda: _answers(place))]


def _answers(place: Place) -> bool:
    context = ssl.create_default_context(cafile=place.authority)
    try:
        address = f"{place.base_url}/local/health"
        with urllib.request.urlopen(address, timeout=2, context=context) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except OSError:
        return False


def _furnish(directory: Path, options: argparse.Namespace) -> None:
    """People, roles and the sample project, once; the env files each time."""
    place = _place(directory, options)
    tenant = seed.make_tenant(place)
    marker = directory / f"seeded-{PROJECT}"
    if not marker.exists():
        seed.make_project(tenant, ProjectFolder.read(CLINIC), name=PROJECT)
        marker.touch()

    def variables(principal: str) -> dict[str, str]:
        found = env.environment(
            tenant,
            principal,
            temporal_address=options.temporal,
            temporal_ui=options.temporal_ui,
            reconcile="PT1M",
        )
        return found | {"LABELBRIDGE_TEMPORAL__NAMESPACE": options.namespace}

    # It registers the application; the process itself is another container's.
    console = ConsoleServer(
        directory,
        place,
        certificates.ensure(directory / "certificates"),
        port=options.console_port,
        environment=variables(PRINCIPAL),
        logs=directory / "logs",
    )
    for name, content in {
        "worker": variables("worker"),
        "operator": variables("operator"),
        "console": console.environment,
    }.items():
        env.write_env_file(directory / f"{name}.env", content)


if __name__ == "__main__":
    sys.exit(main())
