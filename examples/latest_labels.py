"""Fetch a project's labels when they have changed, with nothing of Labelbridge installed.

Reads the marker `labels/latest.json` of a project (see docs/pipelines.md); needs `azure-identity`,
`azure-storage-blob` and the role Storage Blob Data Reader on the container. Writes the snapshot's id if there is
a new one, else nothing. Usage: latest_labels.py CONTAINER_URL PROJECT_KEY DIRECTORY
"""

import hashlib
import json
import sys
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient


def fetch(container: ContainerClient, project_key: str, directory: Path) -> str | None:
    """The snapshot's id if `directory` did not have it yet; its content is then `ID.jsonl` in there."""
    try:
        marker = container.download_blob(f"projects/{project_key}/labels/latest.json").readall()
    except ResourceNotFoundError:
        return None  # no labels were carried yet
    latest = json.loads(marker)
    target = directory / f"{latest['snapshot']}.jsonl"
    if target.exists():
        return None
    # What the marker names never changes: there is no race with the next sync.
    content = container.download_blob(latest["path"]).readall()
    if hashlib.sha256(content).hexdigest() != latest["sha256"]:
        raise ValueError(f"{latest['path']} is not what the marker says")
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.rename(target)
    return str(latest["snapshot"])


if __name__ == "__main__":
    url, key, folder = sys.argv[1:]
    with DefaultAzureCredential() as credential, ContainerClient.from_container_url(url, credential) as blobs:
        sys.stdout.write(fetch(blobs, key, Path(folder)) or "")
