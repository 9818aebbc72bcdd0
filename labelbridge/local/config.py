"""How one local Azure is set up: ports, keys, quotas and how nasty it is.

Prevents the failure of a rehearsal that is friendlier than Azure: whatever Azure does not publish
is a field here, and its default is the nastier of the possibilities with a small delay.
All durations are seconds, because they are compared with the clock of the server and never stored
by the product.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every section: a misspelt field is an error, not a silent default."""

    model_config = ConfigDict(extra="forbid")


class BlobConfig(Section):
    """How the server itself, playing the service, reaches Blob: by account key."""

    endpoint: str = "https://127.0.0.1:10000/{account}"
    """Blob endpoint of a storage account; `{account}` is replaced by its name."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Account name -> account key (base64)."""
    ca_file: Path | None = None
    """PEM file of the authority that signed the Blob server's certificate; the system's if None."""


class JobSeconds(Section):
    """How long the long-running jobs take, from the request until the effect."""

    provisioning: float = 0.3
    export: float = 0.3
    """Both studios' exports."""
    resume: float = 0.0
    """Above 0, resume answers 202 and takes effect after this long; at 0 it answers 200 at once."""
    import_: float = Field(default=0.3, alias="import")
    train: float = 1.0
    deploy: float = 0.2
    delete: float = 0.1

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Nasty(Section):
    """What Azure does not publish, in its nastier form. Each can be turned off."""

    import_replaces_settings: bool = True
    """A Language import replaces `settings`, the gate included, by what the body says."""
    gate_takes_effect_after: float = 0.4
    """A pause or lock takes effect this long after its response; label writes until then are accepted."""
    stale_reads_for: float = 0.3
    """A read of a job or project may show the old gate for this long after it was changed."""
    export_shows_labels_as_of_run: bool = True
    """An export reads the labels when its job runs; False: when it was asked for."""
    categories_change_only_when_paused: bool = True
    """Label categories of a running labeling job cannot be changed (the portal asks for a pause)."""


class LanguageConfig(Section):
    """Limits and quotas of a Language resource (Language service limits)."""

    post_per_minute: int = 10
    """Authoring requests that change or start something, per resource; 0 turns the quota off."""
    get_per_minute: int = 100
    min_documents: int = 10
    """Checked when training starts."""
    max_documents: int = 100_000
    max_document_characters: int = 128_000
    document_name_pattern: str = r"[A-Za-z0-9_.\-]+\.txt"
    """What a document's whole name must match, at the container's root. The published limit reads "letters
    and digits, no spaces"; hyphen, dot and underscore pass by our reading."""
    max_entity_characters: int = 500
    max_category_characters: int = 50
    max_models: int = 10
    max_deployments: int = 10
    max_projects: int = 500
    max_classes: int = 200
    max_entities: int = 200
    reuse_project_names: bool = False
    """Whether a deleted project's name may be taken again (our choice: not)."""


class LocalConfig(Section):
    """Everything one local Azure needs to start."""

    data_dir: Path
    """Where the state file and the signing key are kept."""
    host: str = "127.0.0.1"
    port: int = 8443
    """TLS port of ARM, Language and both studios."""
    identity_port: int = 8081
    """Plain-http port of the managed-identity endpoint."""
    certificate: Path | None = None
    """PEM chain of the server; required to start `labelbridge.local.server`."""
    private_key: Path | None = None
    tenant_id: str = "7a0d7c1e-5b1f-4c53-9a63-0c8f6f2f1a11"
    location: str = "westeurope"
    token_seconds: int = 3600
    """Lifetime of an access token."""
    role_propagation: float = 0.5
    """A granted or removed role takes effect this long after the response."""
    retry_after: int = 1
    """Whole seconds in the `Retry-After` of long-running operations."""
    quota_window: float = Field(default=60.0, gt=0)
    """Seconds over which quotas "per minute" are counted: less makes a rehearsal of many minutes short."""
    arm_per_minute: int = 0
    """ARM requests per subscription and minute; 0 means no quota."""
    max_labeling_items: int = 500_000
    offset_unit: Literal["utf16", "codepoint"] = "utf16"
    """Unit in which the Azure ML studio counts spans (unpublished by Azure)."""
    image_url_style: Literal["AmlDatastore", "azureml-short", "azureml-long"] = "AmlDatastore"
    """Form of `image_url` in an export (which one a text export writes today is unpublished)."""
    blob: BlobConfig = BlobConfig()
    jobs: JobSeconds = JobSeconds()
    nasty: Nasty = Nasty()
    language: LanguageConfig = LanguageConfig()

    @property
    def base_url(self) -> str:
        """Where ARM answers; other endpoints are paths below it."""
        return f"https://{self.host}:{self.port}"

    @classmethod
    def load(cls, path: Path) -> "LocalConfig":
        """Read a JSON file; pydantic's ValidationError names what is wrong in it."""
        return cls.model_validate_json(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write the JSON file that `load` reads."""
        path.write_text(self.model_dump_json(indent=2, by_alias=True), encoding="utf-8")
