"""Takes secrets out of texts that other people wrote, before they are kept or shown.

Prevents a token, a SAS or a key that gets into a history, a record, an event or a log by way of an error: Azure's
own message may quote the address that was asked for with its signature, or a header. Nothing in Labelbridge
writes one on purpose. A secret of a shape that is not known here is not recognised.
"""

import re

REDACTED = "[redacted]"

_DEEPEST = 20
"""Causes of causes that are looked at."""
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


def redact_chain(error: BaseException) -> BaseException:
    """`error` itself, or one without cause that says the same with the secrets taken out.

    Temporal keeps an exception with all its causes, so one whose cause quotes a secret is replaced as a whole.
    """
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < _DEEPEST:
        told.append(f"{type(seen).__name__}: {seen}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    clean = [redact_text(text) for text in told]
    return error if clean == told else RuntimeError(" <- ".join(clean))
