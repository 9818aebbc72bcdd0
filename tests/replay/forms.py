"""The forms in which this version stores and sends things: one example of every noun, in a file.

    python -m tests.replay.forms        writes tests/replay/forms/<version>.json (`make histories` does, too)

Prevents a field that is renamed, or added without a default: what an older version wrote would not load
any more. Examples fill every field, so that each is missed if it is gone; those of a released version stay
as they are.
"""

import enum
import importlib
import json
import pkgutil
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

import labelbridge
from labelbridge.model import Model
from tests.replay.histories import HERE, PRODUCT, releases

OURS = tuple(f"labelbridge.{part}" for part in ("model.", "events.", "fleet.", "throttling.", "latest"))
"""Where nouns stand that are stored or sent; those of `labelbridge.azure` are Azure's."""
FOLDER = HERE / "forms"
_ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/things/t"
_BY_NAME: dict[str, Any] = {
    "language_resource": _ARM,
    "workspace": _ARM,
    "account": "storage1",
    "container": "letters",
    "every": timedelta(minutes=15),
    "labels": "latest",
    "schema_version": 1,
    "sequence": "000000000007",
    "snapshot": "5" * 64,
}
"""Values for fields that take only some texts."""


def nouns() -> dict[str, type[Model]]:
    """Every noun of the library, by name."""
    for package in ("model", "events", "fleet", "throttling"):
        folder = Path(labelbridge.__file__).parent / package
        for module in pkgutil.iter_modules([str(folder)]):
            importlib.import_module(f"labelbridge.{package}.{module.name}")
    importlib.import_module("labelbridge.latest")
    return {one.__name__: one for one in sorted(_below(Model), key=lambda one: one.__name__)}


def _below(model: type[Model]) -> Iterator[type[Model]]:
    for one in model.__subclasses__():
        if one.__module__.startswith(OURS):
            yield one
            yield from _below(one)


def examples() -> dict[str, Any]:
    """An example of every noun, as JSON has it."""
    return {name: example(model).model_dump(mode="json") for name, model in nouns().items()}


def example(model: type[Model]) -> Model:
    """One with every field filled, and with other values than the defaults where there are such."""
    values = {name: _value(name, field.annotation) for name, field in model.model_fields.items()}
    return model.model_validate(values)


def _value(name: str, annotation: Any) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return inner[-1]
    if origin in (Union, types.UnionType):
        return _value(name, next(one for one in inner if one is not type(None)))
    if origin is not None and origin not in (tuple, dict, list):  # Annotated
        return _value(name, inner[0])
    if origin is tuple:
        return tuple(_value(name, one) for one in inner if one is not ...)
    if origin is dict:
        return {_value("key", inner[0]): _value("value", inner[1])}
    return _plain(name, annotation)


def _plain(name: str, annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        assert issubclass(annotation, Model), f"{annotation.__name__} is stored and is no noun"
        return example(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return list(annotation)[-1]
    if name in _BY_NAME and not isinstance(
        _BY_NAME[name], annotation if isinstance(annotation, type) else object
    ):
        return _sample(annotation)
    return _BY_NAME[name] if name in _BY_NAME else _sample(annotation)


def _sample(annotation: Any) -> Any:
    samples: dict[Any, Any] = {
        str: "text",
        bool: True,
        int: 7,
        float: 0.5,
        bytes: b"text",
        datetime: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        timedelta: timedelta(seconds=90),
        Any: {"number": 7},
        object: {"number": 7},
    }
    return samples[annotation]


def save() -> None:
    """Write this version's examples; refused once it is released."""
    assert PRODUCT not in releases(), f"{PRODUCT} was released: its forms stay"
    FOLDER.mkdir(exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in examples().items()]
    (FOLDER / f"{PRODUCT}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    save()
