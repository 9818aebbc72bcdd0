"""Labels: formats, offsets, merge, snapshots; pure, streaming, usable with no server.

`convert.convert` is the whole of it for callers with files; `formats` has a reader and a writer for each
format; `snapshot`, `merge`, `diff`, `split` and `shards` work on streams of rows. Offsets in rows are UTF-16
units. Only `container` reaches for Azure, and only when it is used.
"""

from labelbridge.labels.codes import Code
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.merge import Conflict, Merged, Policy, overlay
from labelbridge.labels.offsets import Documents, InvalidText, InvalidTextError, Text, Texts
from labelbridge.labels.rows import (
    LabeledDocument,
    Quarantined,
    Span,
    categories_used,
    gather,
    quarantine_lines,
)
from labelbridge.labels.snapshot import Snapshot, same_labels

__all__ = [
    "Code",
    "Conflict",
    "Documents",
    "InvalidText",
    "InvalidTextError",
    "LabeledDocument",
    "LanguageProjectFile",
    "Merged",
    "Policy",
    "Quarantined",
    "Snapshot",
    "Span",
    "Text",
    "Texts",
    "categories_used",
    "gather",
    "overlay",
    "quarantine_lines",
    "same_labels",
]
