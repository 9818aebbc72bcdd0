"""One `Settings` for every process: environment, `.env`, `labelbridge.toml`, in that order.

Prevents two failures: a margin of the switch protocol that was configured too small to hold
invariant I1 (checked when the settings load), and code that asks where it runs (endpoints and
credentials come from here and nothing else differs between a laptop and Azure).
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from labelbridge.azure import roles
from labelbridge.encryption.settings import CodecServerSettings, EncryptionSettings, PayloadStorageSettings
from labelbridge.errors import LabelbridgeError
from labelbridge.events.settings import EventSettings
from labelbridge.model import DriftCode, DriftPolicy, OffsetUnit, arm_id
from labelbridge.telemetry.settings import TelemetrySettings
from labelbridge.throttling.settings import ThrottleSettings


class TemporalSettings(BaseModel):
    """Where Temporal is."""

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    task_queue: str = "labelbridge"
    ui: str | None = None
    """Base address of Temporal's UI, for links."""
    connect_timeout: timedelta = timedelta(seconds=10)
    sticky_timeout: timedelta = timedelta(seconds=2)
    """A killed worker's cached workflows stall for this long; the SDK's default is 10 s."""
    max_cached_workflows: int = Field(default=1000, ge=0)
    """Workflows that a worker keeps in memory between two tasks; with 0 it replays each from its history."""
    max_concurrent_workflow_tasks: int = Field(default=16, ge=2)
    """Workflow tasks that a worker takes at once. Python carries out one at a time, and the server gives up
    each that is not answered 10 s after it was taken: more are safer on the server, where they wait."""
    graceful_shutdown: timedelta = timedelta(seconds=20)
    """How long activities may finish at shutdown; must be shorter than the orchestrator's kill grace."""
    deployment_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,199}$")
    """With `build_id`: worker versioning is on, and the worker is that version of this deployment."""
    build_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+\-]{0,199}$")
    """Another for each build whose workflow code differs: a version, or the commit (docs/versioning.md)."""

    @model_validator(mode="after")
    def _version_is_whole(self) -> Self:
        if (self.deployment_name is None) != (self.build_id is None):
            raise ValueError("deployment_name and build_id go together")
        return self


class AzureSettings(BaseModel):
    """Endpoints and API versions. The defaults are the public cloud."""

    arm_endpoint: str = "https://management.azure.com"
    arm_audience: str = "https://management.azure.com"
    language_audience: str = "https://cognitiveservices.azure.com"
    storage_endpoint: str = "https://{account}.blob.core.windows.net"
    """Blob endpoint of a storage account; `{account}` is replaced by its name."""
    language_api_version: str = "2025-05-15-preview"
    """Must carry `isLabelingLocked` and `amlProjectPath`: any but GA 2023-04-01."""
    labeling_api_version: str = "2024-04-01-preview"
    """The last ARM version with `labelingJobs`."""
    workspace_api_version: str = "2024-04-01"
    aml_project_path: str = "{job_resource_id}"
    """Our choice: Azure does not publish the value format of `amlProjectPath`."""
    language_roles: tuple[str, ...] = (roles.LANGUAGE_WRITER, roles.LANGUAGE_OWNER)
    """Role definition GUIDs that let somebody ask for operations, on the Language side: our reading."""
    language_deploy_roles: tuple[str, ...] = (roles.LANGUAGE_OWNER,)
    """The same for a training that deploys: Language Writer may not deploy."""
    labeling_roles: tuple[str, ...] = (roles.AZUREML_DATA_SCIENTIST, roles.CONTRIBUTOR, roles.OWNER)
    """The same on the workspace. Azure says only "the correct roles"; add a custom role's GUID here."""


class RegistrySettings(BaseModel):
    """Where the record, the claims, the snapshots and the audit trail live."""

    account: str = ""
    container: str = "labelbridge"


class TimingSettings(BaseModel):
    """Margins of the switch protocol; each with the inequality it must satisfy."""

    effect_deadline: timedelta = timedelta(seconds=20)
    """An attempt older than this sends nothing any more (checked by the last policy of the pipeline)."""
    effect_timeout: timedelta = timedelta(seconds=30)
    """Start-to-close time-out of an effect; longer than `effect_deadline`, so no attempt outlives its deadline unseen."""
    gate_delay: timedelta = timedelta(seconds=30)
    """Our assumption: a lock or a pause has taken effect this long after it was read back (unpublished by Azure)."""
    drain: timedelta = timedelta(seconds=60)
    """Wait after the source was read back as gated; longer than `effect_deadline` and `gate_delay`."""
    settle: timedelta = timedelta(seconds=20)
    """The source's labels must be unchanged for this long."""
    drain_deadline: timedelta = timedelta(minutes=15)
    """Labels that still change after this long roll the operation back."""
    look_again: timedelta = timedelta(seconds=60)
    """Wait before both gates are read once more; at least `effect_deadline`."""
    step_patience: timedelta = timedelta(minutes=30)
    """A step before the commit that cannot be done in this time rolls the operation back."""
    poll: timedelta = timedelta(seconds=5)
    """Interval at which jobs of Azure are polled."""
    role_poll: timedelta = timedelta(seconds=30)
    """Interval at which a missing role assignment is looked for again."""

    @model_validator(mode="after")
    def _margins_hold(self) -> Self:
        if not self.effect_deadline < self.effect_timeout:
            raise ValueError("timing.effect_deadline must be shorter than timing.effect_timeout")
        if not self.drain > max(self.effect_deadline, self.gate_delay):
            raise ValueError("timing.drain must be longer than timing.effect_deadline and timing.gate_delay")
        if self.look_again < self.effect_deadline:
            raise ValueError("timing.look_again must not be shorter than timing.effect_deadline")
        if self.drain_deadline <= self.settle:
            raise ValueError("timing.drain_deadline must be longer than timing.settle")
        return self


class LabelSettings(BaseModel):
    """How labels are read."""

    offset_unit: OffsetUnit = OffsetUnit.AUTO
    """Unit of Azure ML spans (unpublished). `auto` quarantines what only the unit could decide."""
    shard_documents: int = Field(default=50_000, ge=1)
    """A conversion of more rows is cut into parts of this many, which all workers share. One part reads
    its documents in a few minutes, so a part that is lost with its worker costs no more than that."""


class ConsoleSettings(BaseModel):
    """The console and its HTTP API. `labelbridge console` says which of these are missing."""

    base_url: str = ""
    """Where people reach it, e.g. `https://labelbridge.contoso.com`: https only, since its cookies are
    `Secure`. The redirect address to register is this and `/auth/callback`."""
    issuer: str = ""
    """Issuer of the tokens, exactly as in them, e.g. `https://login.microsoftonline.com/TENANT/v2.0`."""
    client_id: str = ""
    """Application (client) id of the app registration."""
    client_secret: SecretStr | None = None
    """None for a public client: PKCE protects the code either way."""
    audience: str = ""
    """`aud` of the tokens that machines bring; the client id if empty, as Entra's v2 tokens have it."""
    session_key: SecretStr | None = None
    """At least 32 characters by chance; seals the cookies. All replicas share it."""
    session_key_before: SecretStr | None = None
    """The key before this one: cookies that it sealed stay good while the key is changed."""
    session_idle: timedelta = timedelta(minutes=30)
    """A session that made no request for this long has ended."""
    session_lifetime: timedelta = timedelta(hours=8)
    """A session ends after this, used or not: a working day. Roles are read anew at each sign-in."""
    bind: str = "127.0.0.1"
    port: int = Field(default=8443, ge=0, le=65535)
    tls_certificate: Path | None = None
    """PEM chain; without it the console speaks plain HTTP to a proxy that ends TLS."""
    tls_key: Path | None = None
    accept_timeout: timedelta = timedelta(seconds=20)
    """How long a request waits for the project's entity to accept it; shorter than a proxy's time-out."""
    upload_limit: int = Field(default=1 << 30, ge=1)
    """Bytes of a labels file that is handed in."""

    @field_validator("session_key", "session_key_before")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("base_url")
    @classmethod
    def _https(cls, value: str) -> str:
        if value and not re.fullmatch(r"https://[A-Za-z0-9.\-]+(:\d+)?/?", value):
            raise ValueError("must be https://HOST or https://HOST:PORT")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self


class ReconcileSettings(BaseModel):
    """How projects are held against their records."""

    interval: timedelta = timedelta(minutes=15)
    """How often the whole fleet is looked at; 0 turns it off. The same for all workers of a namespace.
    One look reads each Language resource's and workspace's lists once, whatever the number of projects;
    a gate that somebody opened by hand stays open for this long at most, and the activity of one look."""
    policy: DriftPolicy = "close"
    """Whether a difference that can be put right is, or is only reported."""
    only_report: tuple[DriftCode, ...] = ()
    """Differences that the schedule only reports although the policy is to close: `azureml_shut`, say, where
    people pause the labeling job in Azure ML studio to change its label categories."""

    @field_validator("interval")
    @classmethod
    def _not_all_the_time(cls, value: timedelta) -> timedelta:
        if value and value < timedelta(seconds=1):
            raise ValueError("reconcile.interval must be 0 or at least a second")
        return value


class Settings(BaseSettings):
    """Everything that differs between two installations."""

    model_config = SettingsConfigDict(
        env_prefix="LABELBRIDGE_",
        env_nested_delimiter="__",
        env_file=".env",
        toml_file="labelbridge.toml",
        extra="ignore",
    )

    language_resource: str | None = None
    """ARM id of the Language resource that commands mean when they name only a project."""
    workspace: str | None = None
    """ARM id of the Azure ML workspace that connect uses."""
    ca_bundle: Path | None = None
    """PEM file of certificate authorities to trust; the system's if None."""
    actor_object_id: str | None = None
    """Entra object id of the caller; read from the caller's token if None."""
    log_format: str = Field(default="auto", pattern="^(auto|json|pretty)$")
    log_level: str = "info"
    temporal: TemporalSettings = TemporalSettings()
    azure: AzureSettings = AzureSettings()
    registry: RegistrySettings = RegistrySettings()
    timing: TimingSettings = TimingSettings()
    labels: LabelSettings = LabelSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    console: ConsoleSettings = ConsoleSettings()
    events: EventSettings = EventSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    codec_server: CodecServerSettings = CodecServerSettings()
    storage: PayloadStorageSettings = PayloadStorageSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @field_validator("language_resource", "workspace")
    @classmethod
    def _resource_id(cls, value: str | None) -> str | None:
        return arm_id(value) if value else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, then `.env`, then `labelbridge.toml`."""
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @classmethod
    def load(cls) -> "Settings":
        """The settings of this process; `settings_invalid` names each that is wrong."""
        try:
            return cls()
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise LabelbridgeError("settings_invalid", "; ".join(lines)) from error
