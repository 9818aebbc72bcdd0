"""Takes secrets out of log records; prevents a token, a SAS or a key that outlives its use in a log.

Nothing in Labelbridge logs one on purpose. They come in through other people's words: an error
message that quotes a request URL with its SAS, a header dump of an HTTP library, a settings object.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "[redacted]"

_NAMES = re.compile(
    r"authorization|password|passwd|secret|credential|(?<![a-z])sas(?![a-z])|signature|cookie"
    r"|(access|refresh|id|bearer|sas|auth|api)_?token|^token$|_token$"
    r"|(api|account|access|shared|storage|subscription|private|identity)[-_]?(key|header)|connection_?string",
    re.IGNORECASE,
)
"""Field names whose whole value is taken out."""

_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Query parameters of a shared access signature, and of other signed URLs.
    (re.compile(r"(?i)([?&;]|\b)(sig|sharedaccesssignature)=[^&\s\"'<>]+"), rf"\1\2={REDACTED}"),
    (
        re.compile(
            r"(?i)\b((?:account|access|sharedaccess|subscription)[-_]?key|password|client_secret)"
            r"([\"']?\s*[=:]\s*[\"']?)[^;\s\"',}]+"
        ),
        rf"\1\2{REDACTED}",
    ),
    (
        re.compile(r"(?i)\b(bearer|sharedkey|sharedkeylite|basic)\s+[A-Za-z0-9._~+/=:\-]{8,}"),
        rf"\1 {REDACTED}",
    ),
    # A JSON web token: three base64url parts of which the first is a JSON object.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"), REDACTED),
    # A storage account key: 64 bytes in base64.
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}=="), REDACTED),
)


def redact_text(text: str) -> str:
    """`text` with everything that looks like a secret replaced by `[redacted]`."""
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


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
