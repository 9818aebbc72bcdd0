"""Small projects of all three kinds, written to a folder as somebody would download them."""

import json
from pathlib import Path
from typing import Any

from labelbridge.local.folders import ProjectFolder
from labelbridge.model import ProjectKind

CLASSES = ("Billing", "Delivery", "Praise")
ENTITIES = ("Product", "City")
_TEXTS = (
    "The invoice for my kettle is wrong, please send a new one to Lisbon.",
    "Parcel never came to Oslo 📦, tracking ends in Malmö.",
    "Lovely lamp!\r\nMy sister in Oslo wants the same lamp.",
    "I was charged twice for one kettle 😡 and nobody answers in Lisbon.",
    "The courier left the lamp in the rain.\r\nThat was in Malmö.",
    "Thank you, the kettle boils faster than I can talk 🙂🙂 in Oslo.",
)
_SURFACES = {"kettle": "Product", "lamp": "Product", "Lisbon": "City", "Oslo": "City", "Malmö": "City"}


def write_folder(path: Path, kind: ProjectKind, *, documents: int = 12, labelled: int = 8) -> ProjectFolder:
    """Documents `d000.txt`, ... of which the first `labelled` have labels; UTF-16 offsets, some CRLF."""
    path.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number in range(documents):
        text = f"Letter {number}. {_TEXTS[number % len(_TEXTS)]}"
        name = f"d{number:03}.txt"
        (path / name).write_bytes(text.encode())
        if number < labelled:
            rows.append({"location": name, "language": "en-us", **_labels(kind, number, text)})
    listed = ENTITIES if kind is ProjectKind.ENTITIES else CLASSES
    assets = {
        "projectKind": kind.value,
        "entities" if kind is ProjectKind.ENTITIES else "classes": [{"category": one} for one in listed],
        "documents": rows,
    }
    metadata = {"projectKind": kind.value, "projectName": "letters", "storageInputContainerName": "letters"}
    metadata |= {"language": "en-us"}
    file = {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {**metadata, "multilingual": False, "settings": {}},
        "assets": assets,
    }
    (path / "labels.json").write_text(json.dumps(file))
    return ProjectFolder.read(path)


def _labels(kind: ProjectKind, number: int, text: str) -> dict[str, Any]:
    if kind is ProjectKind.SINGLE_LABEL:
        return {"class": {"category": CLASSES[number % 3]}}
    if kind is ProjectKind.MULTI_LABEL:
        return {"classes": [{"category": one} for one in CLASSES[: 1 + number % 3]]}
    labels = [
        {"category": category, "offset": _utf16(text[: text.index(surface)]), "length": _utf16(surface)}
        for surface, category in _SURFACES.items()
        if surface in text
    ]
    return {"entities": [{"regionOffset": 0, "regionLength": _utf16(text), "labels": labels}]}


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
