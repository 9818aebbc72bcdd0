"""Exports for training tools: CoNLL-2003 and JSON lines for spaCy.

Prevents the silent loss that such exports are known for: one label for each stretch of text is all
that these formats have, so spans that overlap, repeat or hold white space at their edges are counted,
document by document. They are written, never read.

Offsets in spaCy's lines are code points, as Python counts. The tokens of CoNLL are our choice: runs of
word characters, and every other visible character alone, cut also where a span starts or ends, so
that no span is lost because it ends inside a token.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from labelbridge.errors import LabelbridgeError
from labelbridge.labels.codes import RejectedRowError
from labelbridge.labels.contents import Contents, string_of
from labelbridge.labels.loss import Loss, Losses
from labelbridge.labels.offsets import Text
from labelbridge.labels.rows import LabeledDocument
from labelbridge.model import ProjectKind

_TOKEN = re.compile(r"\w+|[^\w\s]")
_BLANKS = re.compile(r"\s+")
Piece = tuple[int, int, str]
"""Start, end (exclusive) in code points, category."""


def flat(row: LabeledDocument, text: str, lost: Counter[Loss]) -> list[Piece]:
    """The row's spans in code points, none overlapping another, without white space at their edges.

    Of spans that overlap the longest stays, of equally long ones the first, then the one whose
    category sorts first: our choice. What is left out or trimmed is counted in `lost`.
    """
    measure = Text.of(text)
    wanted: set[Piece] = set()
    for span in row.spans:
        start, end = measure.to_codepoint(span.start), measure.to_codepoint(span.end)
        inside = text[start:end]
        first = start + len(inside) - len(inside.lstrip())
        last = end - len(inside) + len(inside.rstrip())
        if first >= last:
            lost[Loss.BLANK] += 1
            continue
        if (first, last) != (start, end):
            lost[Loss.TRIMMED] += 1
        piece = (first, last, span.category)
        if piece in wanted:
            lost[Loss.DUPLICATE] += 1
        wanted.add(piece)
    kept: list[Piece] = []
    covered = [0] * (len(text) + 1)
    for piece in sorted(wanted, key=lambda p: (p[0] - p[1], p)):
        start, end, _ = piece
        # A kept span is at least as long as this one, so it covers one of this one's two ends.
        if covered[start] or covered[end - 1]:
            lost[Loss.OVERLAP] += 1
            continue
        covered[start:end] = [1] * (end - start)
        kept.append(piece)
    return sorted(kept)


def write_conll(
    rows: Iterable[LabeledDocument], *, contents: Contents, losses: Losses, columns: int = 4
) -> Iterator[bytes]:
    """CoNLL-2003 with BIO tags: `token -X- -X- TAG`, a `-DOCSTART-` line before each document.

    A blank line ends a sentence, which is a line of the document unless a span goes over its end.
    With `columns=2`, `token TAG` and a blank line after each document only: the form that AutoML
    reads. Documents' names and white space are in neither form.

    Raises:
        LabelbridgeError: `labels_quarantined` for a document that cannot be read.
    """
    middle = " " if columns == 2 else " -X- -X- "
    for row in rows:
        text = _text(row, contents)
        lost: Counter[Loss] = Counter()
        pieces = flat(row, text, lost)
        if row.dataset is not None:
            lost[Loss.SPLIT] += 1
        lines = [] if columns == 2 else ["-DOCSTART- -X- -X- O", ""]
        for token, tag, breaks in _tokens(text, pieces, lost):
            if breaks and columns != 2 and lines[-1]:
                lines.append("")
            lines.append(token + middle + tag)
        losses.note(row.document, lost)
        yield ("\n".join(lines) + "\n\n").encode()


def _tokens(text: str, pieces: Sequence[Piece], lost: Counter[Loss]) -> Iterator[tuple[str, str, bool]]:
    """Token, tag, and whether a sentence starts with it."""
    names = {name: _BLANKS.sub("_", name) for _, _, name in pieces}
    cuts = sorted({edge for start, end, _ in pieces for edge in (start, end)})
    for _, _, name in pieces:
        if names[name] != name:
            lost[Loss.RENAMED] += 1
    number, cut, before = 0, 0, 0
    for found in _TOKEN.finditer(text):
        start, stop = found.span()
        while start < stop:
            while cut < len(cuts) and cuts[cut] <= start:
                cut += 1
            end = min(stop, cuts[cut]) if cut < len(cuts) else stop
            while number < len(pieces) and pieces[number][1] <= start:
                number += 1
            inside = number < len(pieces) and pieces[number][0] <= start
            first = inside and pieces[number][0] == start
            tag = ("B-" if first else "I-") + names[pieces[number][2]] if inside else "O"
            yield text[start:end], tag, (first or not inside) and _line_ends(text[before:start])
            before = start = end


def _line_ends(between: str) -> bool:
    return "\n" in between or "\r" in between


class _SpacyLine(msgspec.Struct, omit_defaults=True):
    text: str
    entities: tuple[Piece, ...] | None = None
    cats: dict[str, float] | None = None
    meta: dict[str, str] = {}


def write_spacy(
    rows: Iterable[LabeledDocument],
    *,
    kind: ProjectKind,
    categories: Sequence[str],
    contents: Contents,
    losses: Losses,
) -> Iterator[bytes]:
    """JSON lines whose `entities` or `cats` go into spaCy's `Example.from_dict` as they are.

    `entities` holds `[start, end, category]`; `cats` says 1 or 0 for each of `categories`; `meta` names
    the document, its Train/Test assignment and its language.

    Raises:
        LabelbridgeError: `labels_quarantined` for a document that cannot be read.
    """
    encoder = msgspec.json.Encoder()
    for row in rows:
        text = _text(row, contents)
        lost: Counter[Loss] = Counter()
        meta = {"document": row.document, "dataset": row.dataset, "language": row.language}
        line = _SpacyLine(text, meta={k: v for k, v in meta.items() if v is not None})
        if kind is ProjectKind.ENTITIES:
            line.entities = tuple(flat(row, text, lost))
        else:
            line.cats = dict.fromkeys(categories, 0.0) | dict.fromkeys(row.classes, 1.0)
        losses.note(row.document, lost)
        yield encoder.encode(line) + b"\n"


def _text(row: LabeledDocument, contents: Contents) -> str:
    try:
        return string_of(row.document, contents)
    except RejectedRowError as no:
        raise LabelbridgeError("labels_quarantined", f"{row.document}: {no.reason} ({no.code.value})") from no
