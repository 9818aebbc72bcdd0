"""A codec server over TLS with an identity provider of its own, and the keys that it has."""

import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from labelbridge.codec_server import create_app
from labelbridge.converter import data_converter
from labelbridge.local.processes import free_port
from labelbridge.settings import Settings
from tests.console.issuer import CLIENT_ID, Issuer
from tests.console.serving import Trust, serving

ROLE = "Labelbridge.Payloads"
UI = "https://temporal.contoso.com"
NAMESPACE = "default"


@dataclass(frozen=True)
class CodecSite:
    """The server, who vouches for its callers, and the settings that it shares with a worker."""

    url: str
    issuer: Issuer
    trust: Trust
    settings: Settings

    def client(self, *roles: str, **headers: str) -> httpx.Client:
        """Somebody with these app roles."""
        token = self.issuer.token(self.issuer.claims("paula", roles=list(roles)))
        return self.bare(**{"Authorization": f"Bearer {token}", **headers})

    def bare(self, **headers: str) -> httpx.Client:
        """Nobody in particular."""
        context = ssl.create_default_context(cafile=str(self.trust.ca))
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=30)


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust.make(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"active": "k1", "keys": {"k1": base64.b64encode(b"k" * 32).decode()}}))
    return path


@pytest.fixture(scope="session")
def site(trust: Trust, keys_file: Path) -> Iterator[CodecSite]:
    provider_port, port = free_port(), free_port()
    issuer = Issuer(f"https://127.0.0.1:{provider_port}")
    settings = Settings(
        _env_file=None,
        ca_bundle=trust.ca,
        encryption={"keys_file": keys_file},
        codec_server={"issuer": issuer.url, "audience": CLIENT_ID, "ui_origin": UI, "body_limit": 100_000},
    )
    app = create_app(settings)
    with serving(issuer.app, trust, provider_port), serving(app, trust, port):
        yield CodecSite(f"https://127.0.0.1:{port}", issuer, trust, settings)


@pytest.fixture
async def sealed(site: CodecSite) -> dict[str, object]:
    """One encrypted payload of a secret, as Temporal's UI sends it."""
    return await sealed_by(site.settings)


async def sealed_by(
    settings: Settings, value: object = "a secret label", *, namespace: str = NAMESPACE
) -> dict[str, object]:
    """A value as it stands encrypted in a history, in the JSON of `Payloads`."""
    made = Payloads(payloads=await data_converter(settings, namespace).encode([value]))
    return dict(json_format.MessageToDict(made))
