"""Every error of Labelbridge: a stable code, what happened, what to do, how a process exits.

There are two kinds. A *final* error is a refusal: repeating the same request gives the same answer
until somebody does what the remedy says. A *passing* error may be repeated, after `retry_after`
if the service said so. Workflow code imports this module, so it does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line's `--help` loads this module, and must not load pydantic
    from labelbridge.model import ErrorInfo, Finding


class ExitCode(IntEnum):
    """What the command line tells a script."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    ROLLED_BACK = 4
    CANCELLED = 5
    STILL_RUNNING = 6
    UNREACHABLE = 7
    FINDINGS = 8
    QUARANTINED = 9


@dataclass(frozen=True)
class Kind:
    """One row of the error table."""

    title: str
    remedy: str
    final: bool = True
    exit_code: ExitCode = ExitCode.REFUSED


CATALOGUE: Mapping[str, Kind] = {
    # Refused by the table of legal transitions.
    "project_unknown": Kind(
        "Language has no project of this name.",
        "Check the name and the Language resource; `labelbridge import` makes a new project.",
    ),
    "project_exists": Kind(
        "A project of this name exists already.", "Import makes new projects only: choose another name."
    ),
    "not_connected": Kind(
        "The project is not connected to Azure ML.", "Connect it first: `labelbridge connect`."
    ),
    "already_connected": Kind(
        "The project is connected already.", "A project has one connection at a time: disconnect it first."
    ),
    "already_active": Kind("Labeling is in that studio already.", "Nothing needs to be done."),
    "operation_running": Kind(
        "Another operation is running on this project.", "Wait for it (`labelbridge status`) or cancel it."
    ),
    "labels_undecided": Kind(
        "Azure ML is active and its labels' fate was not said.",
        "Say `--sync` to carry them into Language first, or `--discard-labels`.",
    ),
    "job_claimed": Kind("The labeling job's name is taken, for ever.", "Choose another labeling job name."),
    "job_gone": Kind(
        "The labeling job is gone from its workspace.",
        "Its name cannot be used again. `labelbridge disconnect PROJECT --discard-labels` parts the pair and"
        " opens Language; the labels that were carried before are snapshots.",
    ),
    "job_retired": Kind(
        "This labeling job was disconnected and can never be connected again.",
        "Choose another labeling job name.",
    ),
    "snapshot_needs_gated_language": Kind(
        "Language is active and holds other labels than this snapshot.",
        "Train on `latest`, or switch labeling to Azure ML first.",
    ),
    "snapshot_unknown": Kind(
        "There is no snapshot with this id.", "`labelbridge status` lists the last snapshots."
    ),
    "snapshot_unreadable": Kind(
        "A snapshot's content is not what its id says, or a newer version wrote it.",
        "Use another snapshot, or the version of Labelbridge that wrote it.",
    ),
    # Refused by the preflight.
    "preflight_failed": Kind(
        "The preflight found errors.", "Run the command of each finding, then try again."
    ),
    "forbidden": Kind(
        "Azure refused the call: a role is missing.",
        "Run `labelbridge doctor` for the missing role and the command that grants it.",
    ),
    "storage_differs": Kind(
        "The resource is connected to another storage account.",
        "A Language resource has one storage account: use its containers.",
    ),
    "lossy_export": Kind(
        "The format cannot carry all of these labels.",
        "`--allow-lossy` exports without them; its report (`--output json`) says what each document loses.",
    ),
    "merge_conflict": Kind(
        "Both sides changed the same documents, and the merge policy is to refuse.",
        "See the report for both values; `active` or, for multi-label, `union` decides them.",
    ),
    "labels_quarantined": Kind(
        "Some labels could not be read.",
        "See the quarantine file; `--allow-quarantine` goes on without them.",
    ),
    "invalid_request": Kind(
        "Azure refused the request as invalid.", "The message is Azure's own; correct what it names."
    ),
    # The protocol.
    "record_conflict": Kind(
        "The record was changed by somebody else.",
        "Nothing was overwritten. Run `labelbridge status`, then ask again.",
    ),
    "record_unreadable": Kind(
        "The project's record, or another blob of the registry, cannot be read.",
        "Nothing was changed. Restore the blob's last good version (blob versioning or soft delete); Labelbridge"
        " looks again by itself.",
    ),
    "record_newer": Kind(
        "The project's record, or another blob of the registry, was written by a newer version.",
        "Nothing was changed. Upgrade this worker (or client); until then it asks again by itself.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "worker_too_old": Kind(
        "The request asks for something that the workers do not know yet.",
        "Upgrade the workers, then repeat it: workers are upgraded before their clients.",
    ),
    "source_open": Kind(
        "The other studio's gate is open.",
        "Labelbridge shuts it first; nothing needs to be done.",
    ),
    "drain_deadline": Kind(
        "Labels kept changing although the studio was gated.",
        "Close the labelers' open sessions, then try again.",
        exit_code=ExitCode.ROLLED_BACK,
    ),
    "step_deadline": Kind(
        "A step could not be finished in time; everything was put back.",
        "See the message for the cause, then try again.",
        exit_code=ExitCode.ROLLED_BACK,
    ),
    "read_back_differs": Kind(
        "What was read back is not what was written.",
        "Nothing was committed. Try again; if it stays, report it.",
        exit_code=ExitCode.ROLLED_BACK,
    ),
    "azure_job_failed": Kind(
        "A job of Azure ended without success.", "The message is Azure's own.", exit_code=ExitCode.ROLLED_BACK
    ),
    "cancelled": Kind(
        "The operation was cancelled and undone.", "Ask again when you want it.", exit_code=ExitCode.CANCELLED
    ),
    "terminated": Kind(
        "The operation was terminated by hand.",
        "Labelbridge recovers the project by itself; then ask again.",
        exit_code=ExitCode.ROLLED_BACK,
    ),
    # Events.
    "address_refused": Kind(
        "A webhook's address is private, loopback, link-local or a metadata service, or not https.",
        "Use an https address of the public internet, or allow its network: `events.allow_networks`.",
    ),
    "subscriber_unknown": Kind(
        "The workers have no subscriber of this name.",
        "Subscribers stand in the workers' settings, `events.webhooks` and `events.event_grid`.",
    ),
    # Encryption of what Temporal stores.
    "encryption_key_unknown": Kind(
        "A payload is encrypted with a key that this process does not have.",
        "Give this process the key that the message names: in `encryption.keys_file`, or as an enabled version in"
        " the vault. A key is needed until the last history that it wrote is gone.",
    ),
    "payload_unreadable": Kind(
        "A payload cannot be decrypted, or is not encrypted where it must be.",
        "Check that all processes have the same keys and namespace; if they have, the payload was changed.",
    ),
    # Passing.
    "encryption_keys_unavailable": Kind(
        "The keys for payloads cannot be had.",
        "Check `encryption.vault`, `encryption.secret` and that the identity is Key Vault Secrets User.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "throttled": Kind(
        "Azure asks to slow down.", "It is repeated by itself.", final=False, exit_code=ExitCode.UNREACHABLE
    ),
    "unavailable": Kind(
        "A service could not be reached.",
        "It is repeated by itself.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "deadline_passed": Kind(
        "The attempt was too old to send anything.",
        "It is repeated by itself.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "not_yet": Kind(
        "What was asked for is not visible yet.",
        "It is repeated by itself.",
        final=False,
        exit_code=ExitCode.STILL_RUNNING,
    ),
    # The caller's side.
    "temporal_unreachable": Kind(
        "Temporal cannot be reached.",
        "Check LABELBRIDGE_TEMPORAL__ADDRESS and that the server runs.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "search_attributes_missing": Kind(
        "Temporal's namespace lacks search attributes without which no project's entity can run.",
        "Have an administrator add each, as Keyword: `temporal operator search-attribute create --namespace "
        "NAMESPACE --type Keyword --name NAME`.",
        exit_code=ExitCode.USAGE,
    ),
    "registry_unreachable": Kind(
        "The record store cannot be reached.",
        "Check LABELBRIDGE_REGISTRY__ACCOUNT and the identity's blob role.",
        final=False,
        exit_code=ExitCode.UNREACHABLE,
    ),
    "no_worker": Kind(
        "No worker has answered yet.",
        "The request is kept and runs once a worker is up: `labelbridge worker`.",
        final=False,
        exit_code=ExitCode.STILL_RUNNING,
    ),
    "wait_timeout": Kind(
        "The operation still runs; only the waiting ended.",
        "`labelbridge status` shows it.",
        final=False,
        exit_code=ExitCode.STILL_RUNNING,
    ),
    "operation_unknown": Kind("There is no such operation.", "Check the operation id."),
    "unexpected": Kind(
        "Something happened that Labelbridge did not foresee.",
        "See the worker's log; please report it.",
        exit_code=ExitCode.UNEXPECTED,
    ),
    "settings_invalid": Kind(
        "The settings are incomplete or wrong.", "The message names each setting.", exit_code=ExitCode.USAGE
    ),
    "extra_missing": Kind(
        "A part of Labelbridge is not installed.",
        "Install the extra that the message names.",
        exit_code=ExitCode.USAGE,
    ),
    "input_invalid": Kind(
        "Something that was asked for is not well-formed.",
        "The message names each field.",
        exit_code=ExitCode.USAGE,
    ),
    "key_reused": Kind(
        "This idempotency key was used for another request.",
        "Repeat the first request with it, or choose another key for this one.",
        exit_code=ExitCode.USAGE,
    ),
    "where_invalid": Kind(
        "The filter cannot be read.",
        "Fields are name, kind, active, state, resource, workspace, attention and epoch.",
        exit_code=ExitCode.USAGE,
    ),
    "fleet_unknown": Kind(
        "There is no fleet act of this id.", "`labelbridge fleet list` names the last ones."
    ),
    # The console and its HTTP API.
    "unauthenticated": Kind(
        "Nobody is signed in.", "Sign in, or send a bearer token of the console's issuer."
    ),
    "sign_in_failed": Kind(
        "The sign-in was not completed.",
        "Sign in again; if it stays, ask whoever runs the identity provider.",
    ),
    "role_missing": Kind(
        "Your role in Labelbridge does not allow this.",
        "Ask for the app role that the message names, then sign in again.",
    ),
    "cross_site": Kind(
        "The request did not come from a page of this console.",
        "Load the page again and repeat it there; a script sends a bearer token instead of a cookie.",
    ),
    "too_large": Kind("The request is too large.", "Send less; a labels file goes to `/api/v1/uploads`."),
    "not_found": Kind("There is nothing at this address.", "See `/api/v1/openapi.json` for what there is."),
    "method_not_allowed": Kind(
        "This address does not take this method.", "See `/api/v1/openapi.json` for what it takes."
    ),
    "not_confirmed": Kind(
        "The typed name did not match.",
        "Type the name exactly, or give it with `--confirm`.",
        exit_code=ExitCode.USAGE,
    ),
}
"""Code -> meaning. Tests hold that each code raised anywhere stands here."""


class LabelbridgeError(Exception):
    """The one exception that Labelbridge raises for what it foresaw."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        remedy: str | None = None,
        retry_after: timedelta | None = None,
        data: Mapping[str, str] | None = None,
        findings: "tuple[Finding, ...]" = (),
    ) -> None:
        """`code` must be in the catalogue; `message` says what happened this time."""
        self.kind = CATALOGUE[code]
        self.code = code
        self.message = message or self.kind.title
        self.remedy = self.kind.remedy if remedy is None else remedy
        self.retry_after = retry_after
        self.data = dict(data or {})
        self.findings = findings
        super().__init__(f"{code}: {self.message}")

    @property
    def final(self) -> bool:
        """True if the same request would be refused again."""
        return self.kind.final

    @property
    def info(self) -> "ErrorInfo":
        """The form in which it travels through Temporal, HTTP and `--output json`."""
        from labelbridge.model import ErrorInfo

        return ErrorInfo(
            code=self.code, message=self.message, remedy=self.remedy, data=self.data, findings=self.findings
        )

    @classmethod
    def from_info(cls, info: "ErrorInfo") -> "LabelbridgeError":
        """The same error at the other end; an unknown code (a newer worker's) stays readable."""
        code = info.code if info.code in CATALOGUE else "unexpected"
        message = info.message if code == info.code else f"{info.code}: {info.message}"
        return cls(code, message, remedy=info.remedy, data=info.data, findings=info.findings)
