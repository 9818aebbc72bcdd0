"""How a stored thing is read by a version that may be older, or newer, than the one that wrote it.

Prevents a rolling upgrade that loses what only the new version knows. Whatever is stored keeps the fields
that its reader does not know, also when the reader writes it again (`labelbridge.model.Model`). A change
that such a reader must not even repeat has a number: `schema_version` in the stored JSON, 1 where it is
missing. What is newer than this version reads is refused, unchanged, with an error that is repeated by
itself: in a rolling upgrade a newer worker takes the next attempt (docs/versioning.md).
"""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from labelbridge.errors import LabelbridgeError
from labelbridge.model import Model

M = TypeVar("M", bound=Model)


class _Form(BaseModel):
    """The number of a stored thing's form, whatever else is in it."""

    model_config = ConfigDict(extra="ignore")
    schema_version: int = 1


def parsed(model: type[M], data: bytes, name: str) -> M:
    """A stored thing.

    Args:
        model: what it should be; the default of its `schema_version`, if it has one, is the newest form
            that this version reads.
        data: JSON.
        name: the blob, for messages.

    Raises:
        LabelbridgeError: `record_newer` for a newer form, `record_unreadable` for what is none of these.
    """
    field = model.model_fields.get("schema_version")
    newest = field.default if field else 1
    try:
        form = _Form.model_validate_json(data).schema_version
        if form <= newest:
            return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise LabelbridgeError(
            "record_unreadable",
            f"{model.__name__} {name} cannot be read: {f'{where}: ' if where else ''}{first['msg']}",
            data={"blob": name},
        ) from error
    raise LabelbridgeError(
        "record_newer",
        f"{model.__name__} {name} has form {form}; this version reads forms up to {newest}.",
        data={"blob": name, "form": str(form)},
    )
