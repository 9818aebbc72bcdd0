"""Certificates of the local Azure: one authority, one server certificate for loopback.

Prevents the shortcut that would make the local stack prove nothing: talking http, or switching
verification off. Every client verifies TLS against this authority through `Settings.ca_bundle`.
The authority is kept between runs, so an environment file written by an earlier run stays valid.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509

HOSTS = ("127.0.0.1", "localhost")
VALID = dt.timedelta(days=397)
RENEW_BEFORE = dt.timedelta(days=1)
"""Reissued when less than this is left, so that none expires during a run."""


@dataclass(frozen=True)
class Certificates:
    """Paths of three PEM files."""

    authority: Path
    """Certificate of the authority: what clients trust (`LABELBRIDGE_CA_BUNDLE`)."""
    chain: Path
    """Certificate of the servers."""
    key: Path
    """Private key of the servers; readable by its owner only."""


def ensure(directory: Path) -> Certificates:
    """The certificates in `directory`, made or reissued if they are absent or about to expire."""
    directory.mkdir(parents=True, exist_ok=True)
    found = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority_key = directory / "ca.key"
    if not (_valid(found.authority) and authority_key.exists()):
        authority = trustme.CA(organization_name="Labelbridge local Azure")
        _write_secret(authority_key, authority.private_key_pem.bytes())
        found.authority.write_bytes(authority.cert_pem.bytes())
        found.chain.unlink(missing_ok=True)
    if not (_valid(found.chain) and found.key.exists()):
        authority = trustme.CA.from_pem(found.authority.read_bytes(), authority_key.read_bytes())
        server = authority.issue_cert(*HOSTS, not_after=dt.datetime.now(dt.UTC) + VALID)
        _write_secret(found.key, server.private_key_pem.bytes())
        found.chain.write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    return found


def _valid(path: Path) -> bool:
    """True if `path` holds a certificate that outlives the next day."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - RENEW_BEFORE > dt.datetime.now(dt.UTC)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_bytes(content)
