"""The commands that change something: connect, switch, sync, train, import, disconnect."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelbridge.cli.conduct import Ask, asked, conduct
from labelbridge.cli.confirm import confirm_permanent
from labelbridge.cli.many import Many, conduct_one_or_many
from labelbridge.cli.options import (
    AnyProjectArg,
    ConfirmOption,
    DisconnectLabels,
    DryRunOption,
    EveryOption,
    KeyOption,
    KindName,
    NumberOption,
    OutputOption,
    ParallelOption,
    Policy,
    PolicyOption,
    ProjectArg,
    QuarantineOption,
    ResourceOption,
    RolesOption,
    SplitOption,
    StopAfterOption,
    StudioName,
    TestPercentOption,
    TimeoutOption,
    WaitOption,
    WhereOption,
)
from labelbridge.cli.output import OutputFormat, reporting, say
from labelbridge.errors import LabelbridgeError

if TYPE_CHECKING:
    from labelbridge.client import Labelbridge
    from labelbridge.model import BlobRef, Request
    from labelbridge.settings import Settings

VENDOR_NOTE = (
    "The vendor company is only recorded: the labeling job's ARM resource has no field for it. "
    "Give the vendor access in Azure Machine Learning studio."
)


def connect(
    project: ProjectArg,
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="Name of the labeling job to create.")],
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", metavar="ARM-ID", help="Azure ML workspace, instead of LABELBRIDGE_WORKSPACE."
        ),
    ] = None,
    instructions: Annotated[
        str | None, typer.Option("--instructions", metavar="TEXT", help="Instructions for the labelers.")
    ] = None,
    instructions_file: Annotated[
        Path | None,
        typer.Option("--instructions-file", exists=True, dir_okay=False, help="Instructions from a file."),
    ] = None,
    vendor: Annotated[
        str | None, typer.Option("--vendor", metavar="NAME", help="Vendor company; only recorded.")
    ] = None,
    datastore: Annotated[
        str | None,
        typer.Option(
            "--datastore", help="Datastore that reaches the project's container; found if not given."
        ),
    ] = None,
    confirm: ConfirmOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """Create a labeling job in Azure ML and link it to the project, for ever. Language stays active."""

    async def build(_: "Labelbridge", settings: "Settings") -> "Request":
        from labelbridge.model import ConnectRequest, JobRef

        home = workspace or settings.workspace
        if home is None:
            raise LabelbridgeError(
                "settings_invalid", "No workspace: give --workspace or LABELBRIDGE_WORKSPACE."
            )
        return asked(
            ConnectRequest,
            job=asked(JobRef, workspace=home, name=job),
            datastore=datastore,
            instructions=_instructions(instructions, instructions_file),
            vendor=vendor,
        )

    with reporting(output):
        if vendor:
            say(VENDOR_NOTE)
        if not dry_run:
            confirm_permanent(
                project, confirm, consequence=f"The name {job!r} is taken for ever by connecting {project!r}."
            )
    conduct(Ask(project, output, language_resource, wait, timeout, key, dry_run, wait_for_roles), build)


def _instructions(text: str | None, file: Path | None) -> str | None:
    if text is not None and file is not None:
        raise LabelbridgeError("input_invalid", "Give --instructions or --instructions-file, not both.")
    if file is None:
        return text
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelbridgeError("input_invalid", f"--instructions-file: {error}") from error


def switch(
    project: AnyProjectArg = None,
    *,
    to: Annotated[StudioName, typer.Option("--to", help="The studio that people are to label in.")],
    policy: PolicyOption = Policy.ACTIVE,
    split: SplitOption = None,
    test_percent: TestPercentOption = 20,
    allow_quarantine: QuarantineOption = False,
    everything: EveryOption = False,
    where: WhereOption = None,
    max_parallel: ParallelOption = 4,
    stop_after: StopAfterOption = None,
    confirm: NumberOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """Move the right to label to the other studio, and the labels with it; of one project, or of many."""

    async def build(_: "Labelbridge", __: "Settings") -> "Request":
        from labelbridge.model import SwitchRequest

        return asked(
            SwitchRequest,
            to=to.studio,
            policy=policy.value,
            split=split.value if split else None,
            test_percent=test_percent,
            allow_quarantine=allow_quarantine,
        )

    ask = Ask(project or "", output, language_resource, wait, timeout, key, dry_run, wait_for_roles)
    conduct_one_or_many(ask, Many(everything, where, max_parallel, stop_after, confirm), build)


def sync(
    project: AnyProjectArg = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Give Language the merge of both studios' labels.")
    ] = False,
    policy: PolicyOption = Policy.ACTIVE,
    split: SplitOption = None,
    test_percent: TestPercentOption = 20,
    allow_quarantine: QuarantineOption = False,
    everything: EveryOption = False,
    where: WhereOption = None,
    max_parallel: ParallelOption = 4,
    stop_after: StopAfterOption = None,
    confirm: NumberOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """Bring Language up to date with the active studio; answers with a snapshot of its labels.

    With --all: of every project that --where matches; the report names the snapshots.
    """

    async def build(_: "Labelbridge", __: "Settings") -> "Request":
        from labelbridge.model import SyncRequest

        return asked(
            SyncRequest,
            merge=merge,
            policy=policy.value,
            split=split.value if split else None,
            test_percent=test_percent,
            allow_quarantine=allow_quarantine,
        )

    ask = Ask(project or "", output, language_resource, wait, timeout, key, dry_run, wait_for_roles)
    conduct_one_or_many(ask, Many(everything, where, max_parallel, stop_after, confirm), build)


def train(
    project: ProjectArg,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Name of the model to train.")],
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="WHICH",
            help="`latest` (of the active studio), `as-is` (what Language holds), `snapshot ID`, or just the id.",
        ),
    ] = "latest",
    snapshot_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The snapshot's id after `--labels snapshot`.", show_default=False),
    ] = None,
    deploy: Annotated[
        str | None,
        typer.Option("--deploy", metavar="NAME", help="Deployment that is to serve the new model."),
    ] = None,
    train_percent: Annotated[
        int, typer.Option("--train-percent", min=1, max=99, help="Share of documents used for training.")
    ] = 80,
    split: SplitOption = None,
    config_version: Annotated[
        str, typer.Option("--config-version", help="Training configuration version of the Language service.")
    ] = "latest",
    allow_quarantine: QuarantineOption = False,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """Train a model on named labels, and say which snapshot it was trained on."""

    async def build(_: "Labelbridge", __: "Settings") -> "Request":
        from labelbridge.model import TrainRequest

        return asked(
            TrainRequest,
            model=model,
            labels=which_labels(labels, snapshot_id),
            training_config_version=config_version,
            train_percent=train_percent,
            split=split.value if split else None,
            deployment=deploy,
            allow_quarantine=allow_quarantine,
        )

    conduct(Ask(project, output, language_resource, wait, timeout, key, dry_run, wait_for_roles), build)


def which_labels(text: str, snapshot_id: str | None = None) -> str:
    """Read `--labels`: `latest`, `as-is`, an id, `snapshot ID` in one word or in two."""
    words = text.replace(":", " ").replace("=", " ").split()
    if snapshot_id is not None:
        words.append(snapshot_id)
    if len(words) == 2 and words[0] == "snapshot":
        words = words[1:]
    if len(words) != 1:
        raise LabelbridgeError("input_invalid", f"--labels: {' '.join(words)!r} is not one set of labels.")
    return words[0].lower()


def import_(
    project: ProjectArg,
    file: Annotated[
        Path,
        typer.Option("--file", exists=True, dir_okay=False, readable=True, help="Azure ML JSONL export."),
    ],
    container: Annotated[
        str, typer.Option("--container", help="Container that holds the documents; it becomes the project's.")
    ],
    account: Annotated[str, typer.Option("--account", help="Storage account of that container.")],
    kind: Annotated[KindName, typer.Option("--kind", help="Kind of the new project.")],
    language: Annotated[str, typer.Option("--language", help="Language of the documents, e.g. en-us.")],
    datastore: Annotated[
        str | None, typer.Option("--datastore", help="Take only rows of this datastore; any if not given.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="Description of the new project.")] = "",
    allow_quarantine: QuarantineOption = False,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """Make a new project from an Azure ML JSONL file whose documents are already in a container."""

    async def build(bridge: "Labelbridge", settings: "Settings") -> "Request":
        from labelbridge.model import ImportRequest

        source = await bridge.upload(file) if not dry_run else _planned_upload(file, settings)
        return asked(
            ImportRequest,
            source=source,
            account=account,
            container=container,
            project_kind=kind.kind,
            language=language,
            datastore=datastore,
            description=description,
            allow_quarantine=allow_quarantine,
        )

    conduct(Ask(project, output, language_resource, wait, timeout, key, dry_run, wait_for_roles), build)


def _planned_upload(file: Path, settings: "Settings") -> "BlobRef":
    """Where the file would go; a dry run uploads nothing, so the preflight finds no such blob yet."""
    import hashlib

    from labelbridge.model import BlobRef

    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    say(f"The file is not uploaded by a dry run; it would be uploads/{digest}.jsonl.")
    registry = settings.registry
    return asked(
        BlobRef, account=registry.account, container=registry.container, name=f"uploads/{digest}.jsonl"
    )


def disconnect(
    project: ProjectArg,
    labels_sync: Annotated[
        bool, typer.Option("--sync", help="Carry Azure ML's labels into Language first.")
    ] = False,
    labels_discard: Annotated[
        bool, typer.Option("--discard-labels", help="Leave Azure ML's labels behind, in a snapshot only.")
    ] = False,
    policy: PolicyOption = Policy.ACTIVE,
    split: SplitOption = None,
    test_percent: TestPercentOption = 20,
    allow_quarantine: QuarantineOption = False,
    confirm: ConfirmOption = None,
    language_resource: ResourceOption = None,
    output: OutputOption = OutputFormat.TABLE,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    wait_for_roles: RolesOption = None,
) -> None:
    """End the connection for ever: the labeling job is retired, Language is active."""

    async def build(_: "Labelbridge", __: "Settings") -> "Request":
        from labelbridge.model import DisconnectRequest

        fate = DisconnectLabels.SYNC if labels_sync else DisconnectLabels.DISCARD if labels_discard else None
        return asked(
            DisconnectRequest,
            labels=fate.value if fate else None,
            policy=policy.value,
            split=split.value if split else None,
            test_percent=test_percent,
            allow_quarantine=allow_quarantine,
        )

    with reporting(output):
        if labels_sync and labels_discard:
            raise LabelbridgeError("input_invalid", "Give --sync or --discard-labels, not both.")
        if not dry_run:
            confirm_permanent(
                project,
                confirm,
                consequence=f"The labeling job of {project!r} is retired for ever by disconnecting.",
            )
    conduct(Ask(project, output, language_resource, wait, timeout, key, dry_run, wait_for_roles), build)
