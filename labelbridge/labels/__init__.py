"""Labels: formats, offsets, merge, snapshots; pure, usable with no server.

Formats are modules with `read` and `write` (`azureml_jsonl`) or a class (`language_project`); the
rows between them are here. Offsets in rows are UTF-16 units.
"""

from labelbridge.labels.codes import Code
from labelbridge.labels.language_project import LanguageProjectFile
from labelbridge.labels.merge import Merged, overlay
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
    "Documents",
    "InvalidText",
    "InvalidTextError",
    "LabeledDocument",
    "LanguageProjectFile",
    "Merged",
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
