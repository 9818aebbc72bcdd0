"""How payloads are kept from those who run Temporal: encryption, the codec server, storage outside Temporal.

Prevents a history that half of the processes can read: workers, consoles, command lines and codec servers of
a namespace should have the same. All of it is off by default.
"""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator


class EncryptionSettings(BaseModel):
    """Where the keys of the payload codec come from; it is off while neither source is given."""

    keys_file: Path | None = None
    """JSON file `{"active": ID, "keys": {ID: base64 of 32 bytes}}`; not readable by everybody."""
    vault: str | None = Field(default=None, pattern=r"^https://[^?#@\s]+$")
    """Key Vault, e.g. `https://NAME.vault.azure.net`; the role Key Vault Secrets User is needed."""
    secret: str = Field(default="labelbridge-payload-key", pattern=r"^[0-9A-Za-z-]{1,127}$")
    """Name of the vault's secret. Each version is the base64 of one key; the newest one encrypts."""
    refresh: timedelta = Field(default=timedelta(minutes=10), ge=timedelta(seconds=1))
    """Keys older than this are fetched again, beside the work: so a new key is used at last after this time."""
    unknown_key_pause: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(0))
    """Between two fetches that payloads with unknown key ids cause, so that made-up ids flood no vault."""
    accept_plaintext: bool = True
    """Whether payloads that are not encrypted are read: histories from before encryption was turned on."""

    @property
    def enabled(self) -> bool:
        """True if payloads are encrypted."""
        return self.keys_file is not None or self.vault is not None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.keys_file is not None and self.vault is not None:
            raise ValueError("give keys_file or vault, not both")
        return self


class CodecServerSettings(BaseModel):
    """The codec server, by which Temporal's UI and command line show payloads to those who may see them."""

    ui_origin: str = ""
    """Origin of Temporal's UI, e.g. `https://temporal.contoso.com`; no other web page may ask. No page if empty."""
    issuer: str = ""
    """Issuer of the tokens; the console's if empty."""
    audience: str = ""
    """`aud` of the tokens; the console's if empty."""
    app_role: str = Field(default="Labelbridge.Payloads", min_length=1)
    """App role that callers need. Not one of the console's: payloads hold more than the console shows."""
    encode: bool = False
    """Whether `/encode` is served. It lets its callers write what workers believe, so it is off."""
    body_limit: int = Field(default=8 << 20, ge=1)
    """Bytes of a request: ample for Temporal's own limit of 2 MB for one payload, in base64."""
    payload_limit: int = Field(default=1000, ge=1)
    """Payloads of a request."""
    bind: str = "127.0.0.1"
    port: int = Field(default=8444, ge=0, le=65535)
    tls_certificate: Path | None = None
    """PEM chain; without it the server speaks plain HTTP to a proxy that ends TLS."""
    tls_key: Path | None = None

    @field_validator("ui_origin")
    @classmethod
    def _an_origin(cls, value: str) -> str:
        scheme, _, host = value.rstrip("/").partition("://")
        if value and (scheme not in ("https", "http") or not host or set(host) & set("/?#@*, ")):
            raise ValueError("must be SCHEME://HOST or SCHEME://HOST:PORT")
        return value.rstrip("/").lower()

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        return self


class PayloadStorageSettings(BaseModel):
    """Storage of large payloads outside Temporal; off while no account is given."""

    account: str = ""
    """Storage account. Needed is the role Storage Blob Data Contributor on the container."""
    container: str = Field(default="labelbridge-payloads", pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")
    """It must exist, and belong to this alone: a lifecycle rule may delete from it."""
    threshold: int = Field(default=256 * 1024, ge=0)
    """Bytes, after encryption, from which on a payload is stored outside."""

    @property
    def enabled(self) -> bool:
        """True if large payloads are stored outside."""
        return bool(self.account)
