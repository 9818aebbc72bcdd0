"""One local Azure with a Language resource, for the tests of the Language part."""

import json
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.ai.textanalytics.authoring import TextAuthoringClient, TextAuthoringProjectClient
from azure.core.credentials import TokenCredential

from labelbridge.local import seed
from labelbridge.local.api import LANGUAGE, Caller, Place, Principal, Reply
from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from labelbridge.local.config import BlobConfig, LocalConfig
from labelbridge.local.identity import TOKEN_PATH
from labelbridge.local.processes import Child, free_port

VERSION, STABLE = "2025-05-15-preview", "2023-04-01"
NER, SINGLE, MULTI = (
    "CustomEntityRecognition",
    "CustomSingleLabelClassification",
    "CustomMultiLabelClassification",
)
UNHURRIED = {"post_per_minute": 0, "get_per_minute": 0}
"""No quotas: the tests that need them start a server of their own."""


@dataclass
class Lab:
    """A running local Azure and the ways into it."""

    directory: Path
    azurite: Azurite
    certificates: Certificates
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `LocalConfig` that differ from its defaults."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = LocalConfig.model_validate(
            {
                "data_dir": self.directory / "azure",
                "port": free_port(),
                "identity_port": free_port(),
                "certificate": self.certificates.chain,
                "private_key": self.certificates.key,
                "blob": BlobConfig(
                    endpoint=self.azurite.endpoint,
                    keys=self.azurite.accounts,
                    ca_file=self.certificates.authority,
                ),
                "role_propagation": 0.0,
                **self.settings,
            }
        )
        self.config = config
        path = self.directory / "azure.json"
        config.save(path)
        command = [sys.executable, "-m", "labelbridge.local.server", "--config", str(path)]
        self.server = Child("azure", command, self.directory / "azure.log", ready=self._answers)
        self.place = Place(
            base_url=config.base_url,
            identity_endpoint=f"http://127.0.0.1:{config.identity_port}{TOKEN_PATH}",
            authority=self.certificates.authority,
            storage_endpoint=self.azurite.endpoint,
        )

    def start(self) -> "Lab":
        """Start the server and make its tenant."""
        self.server.start()
        self.tenant = self.make_tenant()
        self.admin = self.tenant.caller(seed.ADMIN)
        self.endpoint = self.tenant.language_endpoint
        return self

    def make_tenant(self) -> seed.Tenant:
        """Principals, resources and roles, the same as the demo's."""
        return seed.make_tenant(self.place)

    def principal(self, *roles: str, storage: bool = True) -> Caller:
        """Somebody new with these Language roles on the resource, and blob access unless told otherwise."""
        body = (
            Caller(self.place, None)
            .request("POST", "/local/principals", {"name": f"p{uuid.uuid4().hex}"})
            .body
        )
        who = Principal(body["name"], body["object_id"], body["client_id"], body["identity_header"])
        for role in roles:
            seed.grant(self.admin, who.object_id, role, self.tenant.language_resource)
        if storage:
            seed.grant(self.admin, who.object_id, "Storage Blob Data Contributor", seed.GROUP)
        return Caller(self.place, who)

    def container(self, documents: Mapping[str, bytes | str]) -> str:
        """A new container with these documents."""
        name = f"c{uuid.uuid4().hex}"
        client = self.tenant.blobs(seed.ADMIN).get_container_client(name)
        client.create_container()
        for document, content in documents.items():
            client.upload_blob(document, content.encode() if isinstance(content, str) else content)
        return name

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: Caller | None = None,
        version: str = VERSION,
        **options: Any,
    ) -> Reply:
        """One authoring request; any status is an answer."""
        separator = "&" if "?" in path else "?"
        url = f"{self.endpoint.rstrip('/')}/language/authoring/analyze-text/projects{path}"
        options = {"expect": None, **options}
        return (who or self.admin).request(
            method, f"{url}{separator}api-version={version}", body, resource=LANGUAGE, **options
        )

    def raw(self, caller: Caller, method: str, url: str) -> tuple[int, str]:
        """Status and `Retry-After` of one request that does not wait out a 429."""
        headers = {"Authorization": f"Bearer {caller.token(LANGUAGE).token}"}
        context = ssl.create_default_context(cafile=self.certificates.authority)
        asked = urllib.request.Request(url, method=method, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=10, context=context) as reply:
                return reply.status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Retry-After", "")

    def finish(self, started: Reply) -> dict[str, Any]:
        """The final state of the job that a reply accepted."""
        assert started.status == 202, started
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = self.admin.request("GET", started.headers["operation-location"], resource=LANGUAGE).body
            if job["status"] not in ("notStarted", "running", "cancelling"):
                return dict(job)
            time.sleep(0.02)
        raise AssertionError(f"{started} did not end")

    def export(self, project: str, query: str = "", version: str = VERSION) -> dict[str, Any]:
        """The project's file."""
        started = self.call(
            "POST", f"/{project}/:export?stringIndexType=Utf16CodeUnit{query}", version=version
        )
        job = self.finish(started)
        assert job["status"] == "succeeded", job
        return dict(self.admin.request("GET", job["resultUrl"], resource=LANGUAGE).body)

    def studio(
        self, method: str, project: str, path: str = "", body: Any = None, who: Caller | None = None
    ) -> Reply:
        """A request to the Language studio's label endpoints."""
        url = f"/studio/language/contoso-language/{project}/documents{path}"
        return (who or self.admin).request(method, url, body, resource=LANGUAGE, expect=None)

    def log(self, project: str) -> list[dict[str, Any]]:
        """The studios' log of one project."""
        rows = Caller(self.place, None).request("GET", "/studio/log").body["value"]
        subject = f"contoso-language/{project}".casefold()
        return [row for row in rows if row["subject"] == subject]

    def project_client(
        self, project: str, credential: TokenCredential | None = None, version: str = VERSION
    ) -> TextAuthoringProjectClient:
        """The official client of one project, unchanged; it verifies TLS and polls often."""
        return TextAuthoringProjectClient(
            self.endpoint,
            credential or self.admin,
            project_name=project,
            api_version=version,
            polling_interval=0.05,
            connection_verify=str(self.place.authority),
        )

    def client(
        self, credential: TokenCredential | None = None, version: str = VERSION
    ) -> TextAuthoringClient:
        """The official client of the resource."""
        return TextAuthoringClient(
            self.endpoint,
            credential or self.admin,
            api_version=version,
            polling_interval=0.05,
            connection_verify=str(self.place.authority),
        )

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.certificates.authority)
        try:
            with urllib.request.urlopen(
                f"{self.config.base_url}/local/health", timeout=2, context=context
            ) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def project_file(
    name: str,
    container: str,
    kind: str = NER,
    *,
    categories: Sequence[str] = ("Who", "City"),
    documents: Iterable[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of an import."""
    return {
        "projectFileVersion": VERSION,
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectName": name,
            "projectKind": kind,
            "storageInputContainerName": container,
            "language": "en-us",
            "multilingual": False,
            "description": "",
            "settings": dict(settings or {}),
        },
        "assets": {
            "projectKind": kind,
            "entities" if kind == NER else "classes": [{"category": name} for name in categories],
            "documents": [dict(document) for document in documents],
        },
    }


def unique(prefix: str = "p") -> str:
    """A project name nobody has used."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def classified(count: int, kind: str = SINGLE) -> list[dict[str, Any]]:
    """Labelled documents `d0.txt` ... of a classification project with the classes A and B."""
    made = []
    for number in range(count):
        category = {"category": "A" if number % 3 else "B"}
        labels = {"class": category} if kind == SINGLE else {"classes": [category]}
        made.append({"location": f"d{number}.txt", "language": "en-us", **labels})
    return made


def texts(count: int) -> dict[str, str]:
    """The documents that `classified` labels."""
    return {f"d{number}.txt": f"document {number}\r\n" for number in range(count)}


def load(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
