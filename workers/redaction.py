"""Takes secrets out of log records; prevents a token, a SAS or a key that outlives its use in a log.

Nothing in Labelbridge logs one on purpose. They come in through other people's words: an error
message that quotes a request URL with its SAS, a header dump of an HTTP library, a settings object.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from labelbridge.redaction import REDACTED, redact_text

__all__ = ["REDACTED", "redact", "redact_text"]

_NAMES = re.compile(
    r"authorization|password|passwd|secret|credential|(?<![a-z])sas(?![a-z])|signature|cookie"
    r"|(access|refresh|id|bearer|sas|auth|api)_?token|^token$|_token$"
    r"|(api|account|access|shared|storage|subscription|private|identity)[-_]?(key|header)|connection_?string",
    re.IGNORECASE,
)
"""Field names whose whole value is taken out."""


def _redact(value: Any) -> Any:
    match value:
        case str():
            return redact_text(value)
        case bytes():
            return redact_text(value.decode("utf-8", "replace"))
        case Mapping():
            return {k: REDACTED if _secret_name(k) and v else _redact(v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redact(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return redact_text(str(value))


def _secret_name(name: object) -> bool:
    return isinstance(name, str) and _NAMES.search(name) is not None


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: it must stand after exceptions became text and before the renderer."""
    for name in list(event):
        if not name.startswith("_"):
            event[name] = REDACTED if _secret_name(name) and event[name] else _redact(event[name])
    return event
