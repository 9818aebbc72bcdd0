"""A corpus for the benchmark, the same each time: short reports with five entities each.

A tenth of the documents hold characters beyond the BMP, a twentieth has CRLF line ends, all have some
characters beyond ASCII. The text stands in the rows, so that one file is the whole input of every tool.
"""

import json
import random
from pathlib import Path

SEED = 20261124
CATEGORIES = ("CREW", "PEAK", "HUT", "TIME", "GEAR")
_PLAIN = (
    "crew reached hut before dawn and reported clear sky over ridge rope left at bivouac radio silent "
    "since noon helicopter could not land föhn over glacier två climbers walked down cañon trail weather "
    "turned über night Übung ended żleb closed снег deep 雪 on col return planned with two sledges"
)
_NAMES = (
    "Anaïs Beñat Chloé Dušan Eira Fjóla Gábor Inês Jörg 山田 Łukasz Matterhorn Eiger Гора Säntis Aneto "
    "Rysy 05:40 17:15 crampons sledge beacon"
)
_PLAIN_WORDS, _NAME_WORDS = _PLAIN.split(), _NAMES.split()
_BEYOND = ("😀", "🏔", "🧗🏽", "👩\u200d🚒", "🇨🇭", "𝒳")


def utf16(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def document(chance: random.Random) -> tuple[str, list[tuple[int, int, str]]]:
    """One text of about 200 characters and its spans: start, end (code points), category."""
    beyond, crlf = chance.random() < 0.1, chance.random() < 0.05
    slots = set(chance.sample(range(1, 30), 5))
    text, spans = "", []
    for slot in range(31):
        if slot in slots:
            word = " ".join(chance.choices(_NAME_WORDS, k=1 + (chance.random() < 0.4)))
            spans.append((len(text), len(text) + len(word), chance.choice(CATEGORIES)))
        elif beyond and chance.random() < 0.15:
            word = chance.choice(_BEYOND)
        else:
            word = chance.choice(_PLAIN_WORDS)
        text += word + ("\r\n" if crlf and chance.random() < 0.15 else " ")
    return text.rstrip(), spans


def write(folder: Path, documents: int, *, peers: bool = True) -> None:
    """Write `labels.jsonl` and `language.json`, and with `peers` also `label-studio.json`.

    Offsets are code points in the first and the last, UTF-16 units in Language's file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "done").exists():
        return
    chance = random.Random(SEED)
    head = {
        "projectFileVersion": "2022-05-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {
            "projectKind": "CustomEntityRecognition", "projectName": "bench", "language": "en-us",
            "storageInputContainerName": "documents", "multilingual": False, "settings": {},
        },
    }  # fmt: skip
    assets = {"projectKind": "CustomEntityRecognition", "entities": [{"category": c} for c in CATEGORIES]}
    with (
        (folder / "labels.jsonl").open("w", encoding="utf-8", newline="") as rows,
        (folder / "language.json").open("w", encoding="utf-8", newline="") as project,
        (folder / "label-studio.json").open("w", encoding="utf-8", newline="") as studio,
    ):
        project.write(_dump(head)[:-1] + ', "assets": ' + _dump(assets)[:-1] + ', "documents": [')
        studio.write("[")
        for number in range(documents):
            text, spans = document(chance)
            name, comma = f"report{number:07}.txt", ",\n" if number else ""
            rows.write(_dump(_row(name, text, spans)) + "\n")
            project.write(comma + _dump(_entry(name, text, spans, number)))
            if peers:
                studio.write(comma + _dump(_task(number, text, spans)))
        project.write("]}}")
        studio.write("]")
    (folder / "done").touch()


def _row(name: str, text: str, spans: list[tuple[int, int, str]]) -> dict[str, object]:
    return {
        "image_url": f"AmlDatastore://documents/{name}",
        "label": [{"label": c, "offsetStart": a, "offsetEnd": b} for a, b, c in spans],
        "label_confidence": [1.0] * len(spans),
        "text": text,
    }


def _entry(name: str, text: str, spans: list[tuple[int, int, str]], number: int) -> dict[str, object]:
    labels = [{"category": c, "offset": utf16(text[:a]), "length": utf16(text[a:b])} for a, b, c in spans]
    return {
        "location": name,
        "language": "en-us",
        "dataset": "Train" if number % 5 else "Test",
        "entities": [{"regionOffset": 0, "regionLength": utf16(text), "labels": labels}],
    }


def _task(number: int, text: str, spans: list[tuple[int, int, str]]) -> dict[str, object]:
    result = [
        {
            "id": f"{number}-{i}", "from_name": "label", "to_name": "text", "type": "labels",
            "value": {"start": a, "end": b, "text": text[a:b], "labels": [c]},
        }
        for i, (a, b, c) in enumerate(spans)
    ]  # fmt: skip
    annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "lead_time": 1.0, "result": result}
    stamps = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    return {"id": number, "data": {"text": text}, "annotations": [annotation | stamps], "predictions": []}


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
