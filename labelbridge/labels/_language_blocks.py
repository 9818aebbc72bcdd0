"""Language's documents in blocks, held against their texts: what is ordinary is read many at once.

Prevents two readers that disagree: nothing is rejected here. A block in which one entry is not plainly
right is given to `LanguageProjectFile.rows_of` and `checks.checked`, which alone decide what is wrong.
"""

from collections.abc import Iterator, Sequence

from labelbridge.labels._language_json import Document, EntityDocument
from labelbridge.labels.batches import Batch
from labelbridge.labels.checks import CategoryRules, Checking, text_of, texts_of
from labelbridge.labels.language_project import LanguageProjectFile, Reading
from labelbridge.labels.offsets import Text, Texts
from labelbridge.labels.paths import all_plain
from labelbridge.labels.rows import LabeledDocument, Span


def batches(file: LanguageProjectFile, texts: Texts, checking: Checking) -> Iterator[Batch]:
    """What `checked` gives for the file's rows, a block at once; `checking` holds these `texts`."""
    reading = file.reading()
    for first, entries, raws in file.blocks():
        batch = _quick(first, entries, texts, reading, checking.rules) if file.counts_utf16 else None
        if batch is None:
            batch = Batch(list(checking.rows(file.rows_of(first, entries, raws, reading))))
            batch.texts = [text_of(row.document, texts) for row in batch.rows]
        yield batch


def _quick(
    first: int, entries: Sequence[Document], texts: Texts, reading: Reading, rules: CategoryRules
) -> Batch | None:
    """The rows of a block if there is nothing to say against any of them."""
    labelled = [e for e in entries if isinstance(e, EntityDocument) and e.entities is not None]
    names = [entry.location for entry in labelled]
    if not names or not all_plain(names):
        return None
    known = reading.rules.known & rules.known
    found = texts_of(names, texts)
    if found is None:
        return None
    rows: list[LabeledDocument] = []
    categories: list[str] = []
    for entry, text in zip(labelled, found, strict=True):
        assert entry.entities is not None
        if len(entry.entities) != 1 or entry.entities[0].offset:
            return None
        spans = entry.entities[0].labels
        used = [span.category for span in spans]
        if not (known.issuperset(used) and (_in_pairs if text.astral else _in_range)(spans, text)):
            return None
        categories += used
        rows.append(
            LabeledDocument(
                document=entry.location, spans=spans, dataset=entry.dataset, language=entry.language
            )
        )
    return Batch.clean(rows, found, categories) if reading.seen.all_first(names, first) else None


def _in_range(spans: Sequence[Span], text: Text) -> bool:
    """True if spans of a text in which the units agree are surely right."""
    length = text.codepoint_length
    for span in spans:
        start, size = span.start, span.length
        if start < 0 or size <= 0 or start + size > length:
            return False
    return True


def _in_pairs(spans: Sequence[Span], text: Text) -> bool:
    """The same for a text with characters beyond the BMP."""
    length, pairs = text.utf16_length, text.pairs()
    for span in spans:
        start, size = span.start, span.length
        if start < 0 or size <= 0 or start + size > length:
            return False
        if start - 1 in pairs or start + size - 1 in pairs:
            return False
    return True
