"""`doctor --output report`: one page of Markdown that somebody can paste into a ticket.

Prevents the first round of questions in each ticket (which version, which settings, what does doctor say),
and a secret in one: what could be one is named, never printed. It is made also if nothing answers, since
then it is needed most.
"""

import asyncio
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labelbridge.cli import query
from labelbridge.cli.conduct import load_settings
from labelbridge.errors import ExitCode, LabelbridgeError
from labelbridge.model import Finding, Preflight, ProjectStatus, Request

if TYPE_CHECKING:
    from labelbridge.settings import Settings

HIDDEN = "(set; not shown)"
_SECRET = re.compile(r"secret|password|token|(^|[._])key|_key(_|$)|sas(_|$)|connection_string", re.IGNORECASE)
_PACKAGES = ("labelbridge", "temporalio", "pydantic", "azure-identity", "azure-core", "azure-storage-blob")

RequestFor = Callable[[ProjectStatus, "Settings"], Request]


class Seen:
    """What could be read, and why the rest could not."""

    def __init__(self) -> None:
        self.status: ProjectStatus | None = None
        self.preflight: Preflight | None = None
        self.looked_for = ""
        self.error: LabelbridgeError | None = None


def print_report(project: str, language_resource: str | None, request_for: RequestFor) -> ExitCode:
    """Look, and print the page on stdout; the exit code is doctor's, or that of what failed."""
    seen = Seen()
    settings: Settings | None = None
    try:
        settings = load_settings(language_resource)
        asyncio.run(_look(settings, project, request_for, seen))
    except LabelbridgeError as error:
        seen.error = error
    sys.stdout.write("\n".join(page(project, settings, seen)) + "\n")
    if seen.error is not None:
        return seen.error.kind.exit_code
    return ExitCode.FINDINGS if seen.preflight and seen.preflight.errors else ExitCode.DONE


async def _look(settings: "Settings", project: str, request_for: RequestFor, seen: Seen) -> None:
    from labelbridge.client import Labelbridge
    from labelbridge.telemetry import spans

    spans.configure("labelbridge-cli")
    async with Labelbridge.connect(settings) as bridge:
        ref = bridge.project(project)
        seen.status = await bridge.status(ref)
        request = request_for(seen.status, settings)
        seen.looked_for = request.kind
        seen.preflight = await bridge.preflight(ref, request)


def page(project: str, settings: "Settings | None", seen: Seen) -> Iterator[str]:
    """The lines of the page."""
    yield f"# labelbridge doctor {project}"
    yield ""
    yield f"Made {datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}."
    if seen.error is not None:
        yield f"\n**{_text(seen.error.code)}**: {_text(seen.error.message)} {_text(seen.error.remedy)}"
    yield "\n## Versions\n"
    yield from _table(("package", "version"), _versions())
    if seen.status is not None:
        yield "\n## Status\n"
        yield from _table(("", ""), _status(seen.status))
    if seen.preflight is not None:
        yield f"\n## Findings for {seen.looked_for}\n"
        yield from _findings(seen.preflight.findings)
    if settings is not None:
        yield "\n## Settings that were given\n"
        given = settings.model_dump(mode="json", exclude_unset=True)
        yield from _table(("setting", "value"), sorted(flat(given)))


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    yield "system", platform.platform()
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"


def _status(status: ProjectStatus) -> Iterator[tuple[str, str]]:
    from labelbridge.cli.present import moment, running_words, state_words

    yield "State", state_words(status)
    yield "Epoch", str(status.epoch)
    yield "Labeling job", status.job.name if status.job else "-"
    yield "Running", running_words(status.running)
    if status.interrupted:
        yield "Interrupted", status.interrupted
    if status.attention:
        yield "Needs a person", f"{status.attention.code}: {status.attention.message}"
    for drift in status.drift:
        yield "Differs", f"{drift.code} ({drift.outcome}): {drift.message}"
    if status.last_sync:
        yield "Last sync", f"{status.last_sync.id[:16]} {moment(status.last_sync.taken_at)}"


def _findings(findings: tuple[Finding, ...]) -> Iterator[str]:
    yield from _table(("", "finding", ""), ((one.severity.value, one.code, one.message) for one in findings))
    for one in findings:
        if one.command:
            yield f"\nFor `{one.code}`:\n\n```sh\n{one.command}\n```"


def flat(settings: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Each setting by its dotted name, with its value unless that could be a secret."""
    for name, value in settings.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from flat({str(key): one for key, one in value.items()}, f"{path}.")
        elif value and _SECRET.search(name):
            yield path, HIDDEN
        else:
            yield path, _without_user(query.line(value))


def _without_user(value: str) -> str:
    """An address without user, password, query or fragment: any of them may be a key."""
    if "://" not in value:
        return value
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    hidden = value if (host, "", "") == (parts.netloc, parts.query, parts.fragment) else None
    return hidden or f"{parts.scheme}://{host}{parts.path} {HIDDEN}"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(map(_text, row))} |"


def _text(words: str) -> str:
    """Words that stay on their line and in their cell."""
    return words.replace("|", r"\|").replace("\r", " ").replace("\n", " ")
