"""A folder of documents and a labels file, as somebody downloads it, made ready for a container.

Prevents a demo that works only on its own sample: real folders hold empty files, names that
Language does not take and metadata of another project. What Language forbids is left out with a note,
never silently; labels and documents themselves are passed on unchanged.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelbridge.local.config import LanguageConfig
from labelbridge.model import ProjectKind

_LIMITS = LanguageConfig()


@dataclass(frozen=True)
class LeftOut:
    """A document that stays behind, and why."""

    document: str
    reason: str


@dataclass(frozen=True)
class ProjectFolder:
    """What a project is made of."""

    path: Path
    kind: ProjectKind
    language: str
    categories: tuple[str, ...]
    documents: tuple[str, ...]
    """Names of the `.txt` files that a container may take, sorted."""
    left_out: tuple[LeftOut, ...]
    labels: dict[str, Any]
    """The labels file as it was read."""

    @classmethod
    def read(cls, path: Path) -> "ProjectFolder":
        """Read a folder with `*.txt` and one labels file; ValueError says what is missing."""
        labels = _labels_file(path)
        assets, metadata = labels["assets"], labels["metadata"]
        kind = ProjectKind(assets.get("projectKind") or metadata.get("projectKind"))
        listed = assets["entities" if kind is ProjectKind.ENTITIES else "classes"]
        left_out = [
            LeftOut(file.name, reason) for file in sorted(path.glob("*.txt")) if (reason := forbidden(file))
        ]
        barred = {one.document for one in left_out}
        documents = tuple(file.name for file in sorted(path.glob("*.txt")) if file.name not in barred)
        if not documents:
            raise ValueError(f"{path} holds no .txt document that Language takes")
        return cls(
            path=path,
            kind=kind,
            language=str(metadata.get("language") or "en-us"),
            categories=tuple(str(one["category"]) for one in listed),
            documents=documents,
            left_out=tuple(left_out),
            labels=labels,
        )

    def content(self, document: str) -> bytes:
        """A document's bytes, as they are."""
        return (self.path / document).read_bytes()

    def import_file(self, *, name: str, container: str) -> dict[str, Any]:
        """The body of `:import` for a project of that name; labels of documents left out go with them."""
        taken = set(self.documents)
        documents = [one for one in self.labels["assets"]["documents"] if one["location"] in taken]
        metadata = {
            **self.labels["metadata"],
            "projectName": name,
            "storageInputContainerName": container,
            "projectKind": self.kind.value,
            "settings": self.labels["metadata"].get("settings") or {},
        }
        assets = {**self.labels["assets"], "projectKind": self.kind.value, "documents": documents}
        return {**self.labels, "metadata": metadata, "assets": assets}


def forbidden(file: Path) -> str | None:
    """Why Language would not take this document (its service limits), or None."""
    if not re.fullmatch(_LIMITS.document_name_pattern, file.name):
        return "Language takes names of letters and digits, without spaces"
    try:
        characters = len(file.read_bytes().decode("utf-8"))
    except UnicodeDecodeError:
        return "it is not UTF-8"
    if characters == 0:
        return "it is empty"
    if characters > _LIMITS.max_document_characters:
        return f"it has more than {_LIMITS.max_document_characters} characters"
    return None


def _labels_file(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    found: list[dict[str, Any]] = []
    for file in sorted(path.glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if isinstance(content, dict) and {"metadata", "assets"} <= content.keys():
            found.append(content)
    if len(found) != 1:
        raise ValueError(
            f"{path} must hold exactly one labels file (Language project JSON), not {len(found)}"
        )
    return found[0]
