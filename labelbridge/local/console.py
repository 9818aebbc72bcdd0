"""The console as a part of the local stack: registered with the local Entra, over TLS, as a process.

Prevents a console that was only ever tried inside a test's own process: it runs by its command, with
settings from its environment, as an Azure identity that has no more than it needs.
"""

import json
import secrets
import ssl
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from labelbridge.local.api import Caller, Place
from labelbridge.local.certificates import Certificates
from labelbridge.local.entra_tokens import PREFIX
from labelbridge.local.processes import Child

APPLICATION = "Labelbridge console"
CALLBACK = "/auth/callback"
"""The path of the redirect address that the console's settings ask to register."""
PRINCIPAL = "console"
KEY_FILE = "console.json"


class ConsoleServer(Child):
    """`labelbridge console` on one fixed port of loopback."""

    def __init__(
        self,
        directory: Path,
        place: Place,
        certificates: Certificates,
        *,
        port: int,
        environment: Mapping[str, str],
        logs: Path,
    ) -> None:
        """Register the application; nothing is started yet.

        Args:
            directory: keeps the key that seals the cookies, so that a restart signs nobody out.
            place: the local Azure, which must be running.
            certificates: what the console serves TLS with.
            port: of loopback.
            environment: of a process that runs as the principal `console`.
            logs: folder for its log.
        """
        self.address = f"https://127.0.0.1:{port}"
        self._authority = certificates.authority
        redirects = [self.address + CALLBACK, f"{self.address}/auth/signed-out"]
        body = {"name": APPLICATION, "redirect_uris": redirects}
        made = Caller(place, None).request("POST", "/local/entra/applications", body).body
        self.client_id: str = made["client_id"]
        """Of its app registration: machines ask for tokens for `api://CLIENT_ID`."""
        own = {
            "BASE_URL": self.address,
            "ISSUER": f"{place.base_url}{PREFIX}/v2.0",
            "CLIENT_ID": self.client_id,
            "CLIENT_SECRET": made["client_secret"],
            "SESSION_KEY": _session_key(directory / KEY_FILE),
            "BIND": "127.0.0.1",
            "PORT": str(port),
            "TLS_CERTIFICATE": str(certificates.chain),
            "TLS_KEY": str(certificates.key),
        }
        super().__init__(
            "console",
            [sys.executable, "-m", "labelbridge.cli.main", "console"],
            logs / "console.log",
            environment={
                **environment,
                **{f"LABELBRIDGE_CONSOLE__{name}": value for name, value in own.items()},
                "LABELBRIDGE_LOG_FORMAT": "json",
                "PYTHONUNBUFFERED": "1",
            },
            directory=directory,
            ready=self._answers,
        )

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self._authority)
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=2, context=context) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def _session_key(file: Path) -> str:
    """Made once and kept, readable by its owner only."""
    if file.exists():
        return str(json.loads(file.read_text())["session_key"])
    key = secrets.token_urlsafe(48)
    file.touch(mode=0o600)
    file.write_text(json.dumps({"session_key": key}))
    return key
