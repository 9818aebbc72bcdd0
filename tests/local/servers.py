"""What the tests of this room share: a local Azure as a child process, and things made in it."""

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from labelbridge.local.api import LABELING_VERSION, MACHINE_LEARNING_VERSION, Caller, Place, Principal, Reply
from labelbridge.local.azurite import Azurite
from labelbridge.local.certificates import Certificates
from labelbridge.local.config import BlobConfig, LanguageConfig, LocalConfig
from labelbridge.local.processes import Child, free_port
from labelbridge.local.seed import DATA_ACCOUNT, SUBSCRIPTION, WORKSPACE, Tenant, make_tenant

T = TypeVar("T")
_NUMBERS = itertools.count(1)


def shared_folder() -> Path | None:
    """The fixtures of this project's neighbours: `LABELBRIDGE_SHARED`, else `../shared` beside the repository."""
    configured = os.environ.get("LABELBRIDGE_SHARED")
    folder = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared"
    return folder if (folder / "azure").is_dir() else None


def eventually(look: Callable[[], T], wanted: Callable[[T], bool], seconds: float = 120.0) -> T:
    """The first value of `look` that is `wanted`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s, last seen: {found!r}"
        time.sleep(0.02)


@dataclass
class LocalAzure:
    """One local Azure as a child process; kept data survive `kill` and `start`."""

    config: LocalConfig
    child: Child
    place: Place

    @classmethod
    def create(cls, folder: Path, azurite: Azurite, certs: Certificates, **fields: Any) -> "LocalAzure":
        """Not started yet. Language quotas are off unless `language` says otherwise."""
        folder.mkdir(parents=True, exist_ok=True)
        given: dict[str, Any] = {
            "data_dir": folder / "state",
            "port": free_port(),
            "identity_port": free_port(),
            "certificate": certs.chain,
            "private_key": certs.key,
            "blob": BlobConfig(endpoint=azurite.endpoint, keys=azurite.accounts, ca_file=certs.authority),
            "language": LanguageConfig(post_per_minute=0, get_per_minute=0),
            "role_propagation": 0.2,
        }
        config = LocalConfig(**{**given, **fields})
        config.save(folder / "config.json")
        place = Place(
            base_url=config.base_url,
            identity_endpoint=f"http://127.0.0.1:{config.identity_port}/msi/token",
            authority=certs.authority,
            storage_endpoint=azurite.endpoint,
        )
        nobody = Caller(place, None)

        def answers() -> bool:
            try:
                return nobody.request("GET", "/local/health", expect=None).status == 200
            except urllib3.exceptions.HTTPError:
                return False

        command = [sys.executable, "-m", "labelbridge.local.server", "--config", str(folder / "config.json")]
        return cls(config, Child("local-azure", command, folder / "server.log", ready=answers), place)

    @property
    def folder(self) -> Path:
        return self.config.data_dir.parent

    @property
    def nobody(self) -> Caller:
        """For the administration paths."""
        return Caller(self.place, None)

    def start(self) -> None:
        self.child.start()

    def stop(self) -> None:
        self.child.stop()

    def restart(self, **fields: Any) -> None:
        """Start again on the same data, with these fields of the configuration changed."""
        self.stop()
        self.config = self.config.model_copy(update=fields)
        self.config.save(self.folder / "config.json")
        self.start()

    def tenant(self) -> Tenant:
        """The seeded tenant: principals, roles, storage, Language resource, workspace."""
        return make_tenant(self.place)

    def principal(self, name: str) -> Principal:
        """Somebody of this tenant, made if not there."""
        return Principal(**self.nobody.request("POST", "/local/principals", {"name": name}).body)

    def log(self) -> list[dict[str, Any]]:
        """Both studios' log."""
        entries: list[dict[str, Any]] = self.nobody.request("GET", "/studio/log").body["value"]
        return entries

    def fault(self, **fields: Any) -> str:
        """Arm a fault; its id."""
        return str(self.nobody.request("POST", "/local/faults", fields).body["id"])

    def faults(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.nobody.request("GET", "/local/faults").body["value"]
        return found

    def clear_faults(self) -> None:
        self.nobody.request("DELETE", "/local/faults")


ENTITIES = ("Person", "Place")


@dataclass
class LabelingSite:
    """A container with documents, its datastore and data asset, and labeling jobs over them."""

    tenant: Tenant
    container: str
    documents: dict[str, str]

    @classmethod
    def make(cls, tenant: Tenant, documents: Mapping[str, str] | None = None) -> "LabelingSite":
        """A new container; by default three documents, one with CRLF and one with an emoji."""
        texts = documents or {
            "a.txt": "Ann went to Rome.",
            "b.txt": "First line\r\nBen stays in Oslo.",
            "c.txt": "\U0001f600 Cleo saw Paris.",
        }
        site = cls(tenant, f"site-{os.getpid()}-{next(_NUMBERS)}", dict(texts))
        container = tenant.blobs("admin").create_container(site.container)
        for name, text in texts.items():
            container.upload_blob(name, text.encode())
        properties = {
            "datastoreType": "AzureBlob",
            "accountName": DATA_ACCOUNT,
            "containerName": site.container,
        }
        site.ml("PUT", f"{WORKSPACE}/datastores/{site.datastore}", {"properties": properties})
        uri = f"azureml://datastores/{site.datastore}/paths/"
        data = {"dataType": "uri_folder", "dataUri": uri}
        site.ml("PUT", f"{WORKSPACE}/data/{site.container}/versions/1", {"properties": data})
        return site

    @property
    def datastore(self) -> str:
        return self.container.replace("-", "_")

    @property
    def data_id(self) -> str:
        return f"{WORKSPACE}/data/{self.container}/versions/1"

    def ml(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        return self.tenant.caller("admin").arm(
            method, path, body, version=MACHINE_LEARNING_VERSION, **options
        )

    def properties(self, kind: str = "ner", **more: Any) -> dict[str, Any]:
        """A body's `properties`; `kind` is ner, single or multi."""
        classes = {name: {"displayName": name, "subclasses": {}} for name in ENTITIES}
        category = {
            "displayName": "labels",
            "multiSelect": "Enabled" if kind == "multi" else "Disabled",
            "classes": classes,
        }
        annotation = "NamedEntityRecognition" if kind == "ner" else "Classification"
        return {
            "jobType": "Labeling",
            "dataConfiguration": {"dataId": self.data_id},
            "labelCategories": {"labels": category},
            "labelingJobMediaProperties": {"mediaType": "Text", "annotationType": annotation},
            **more,
        }

    def job(self, name: str, kind: str = "ner", *, wait: bool = True, **more: Any) -> "LabelingJob":
        """Create a job; unless told otherwise, wait until it is provisioned."""
        job = LabelingJob(self, f"{name}-{next(_NUMBERS)}")
        reply = job.arm("PUT", body={"properties": self.properties(kind, **more)}, expect=(201,))
        if wait:
            self.tenant.caller("admin").finish_arm(reply.headers["Azure-AsyncOperation"])
        return job


@dataclass
class LabelingJob:
    """A labeling job and its two faces: ARM and the studio."""

    site: LabelingSite
    name: str

    @property
    def id(self) -> str:
        return f"{WORKSPACE}/labelingJobs/{self.name}"

    def arm(
        self, method: str, action: str = "", body: Any = None, *, by: str = "admin", **options: Any
    ) -> Reply:
        """One ARM request, as it is: nothing is polled."""
        url = f"{self.id}{action}?api-version={LABELING_VERSION}"
        return self.site.tenant.caller(by).request(method, url, body, **options)

    def studio(
        self, method: str, path: str = "", body: Any = None, *, by: str = "ann", **options: Any
    ) -> Reply:
        """One request to the studio's label endpoints."""
        group, workspace = WORKSPACE.split("/")[4], WORKSPACE.split("/")[-1]
        url = f"/studio/azureml/{SUBSCRIPTION}/{group}/{workspace}/{self.name}/items{path}"
        return self.site.tenant.caller(by).request(method, url, body, **options)

    def label(self, document: str, labels: Any, **options: Any) -> Reply:
        return self.studio("PUT", f"/{document}/labels", {"labels": labels}, **options)

    def status(self) -> str:
        return str(self.arm("GET").body["properties"]["status"])

    def is_open(self) -> bool:
        return bool(self.studio("GET").body["open"])

    def export(self, format_: str = "Dataset") -> dict[str, Any]:
        """Export and wait; the summary."""
        reply = self.arm("POST", "/exportLabels", {"format": format_}, expect=(202,))
        done = self.site.tenant.caller("admin").finish_arm(reply.headers["Location"])
        return dict(done.body)

    def exported_rows(self, summary: dict[str, Any]) -> list[bytes]:
        """Lines of the exported JSONL, found through the data asset as a user would."""
        asset = self.site.ml("GET", f"{WORKSPACE}/data/{summary['labeledAssetName']}/versions/1").body
        datastore, _, path = asset["properties"]["dataUri"].partition("/datastores/")[2].partition("/paths/")
        store = self.site.ml("GET", f"{WORKSPACE}/datastores/{datastore}").body["properties"]
        blobs = self.site.tenant.blobs("admin", store["accountName"])
        return blobs.get_blob_client(store["containerName"], path).download_blob().readall().splitlines()
