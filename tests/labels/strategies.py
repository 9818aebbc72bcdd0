"""What the property tests draw: texts full of traps, and rows that fit them."""

from dataclasses import dataclass

from hypothesis import strategies as st

from labelbridge.labels import Documents, LabeledDocument, Span
from labelbridge.model import ProjectKind

ASTRAL = "😀𝒳🇩👍🏽𠀋"
TRAPS = ["\r\n", "\ufeff", "\u200d", "e\u0301", "\u2028", "\x00", "é", "👩\u200d👩\u200d👧", *ASTRAL]
CATEGORIES = ("Person", "Place", "Date, time", "名前", 'A "quoted" one', "\\")

text = st.lists(
    st.one_of(st.sampled_from(TRAPS), st.text(st.characters(exclude_categories=["Cs"]), max_size=4)),
    max_size=12,
).map("".join)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\%"), min_size=1, max_size=12
)
document = names.filter(lambda n: n not in {".", ".."})


@dataclass(frozen=True)
class Case:
    """Rows of one kind and the documents that they are about."""

    kind: ProjectKind
    contents: dict[str, str]
    rows: tuple[LabeledDocument, ...]

    @property
    def texts(self) -> Documents:
        return Documents({name: text.encode() for name, text in self.contents.items()})


def utf16(text: str) -> int:
    """Oracle: length in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


@st.composite
def spans_of(draw: st.DrawFn, text: str) -> tuple[Span, ...]:
    """Any spans that cut no character: nested, crossing, twice the same, in any order."""
    if not text:
        return ()
    edges = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda e: e[0] < e[1])
    found = draw(st.lists(st.tuples(edges, st.sampled_from(CATEGORIES)), max_size=6))
    return tuple(Span(utf16(text[:a]), utf16(text[a:b]), category) for (a, b), category in found)


def classes_of(kind: ProjectKind) -> st.SearchStrategy[tuple[str, ...]]:
    if kind is ProjectKind.SINGLE_LABEL:
        return st.sampled_from(CATEGORIES).map(lambda name: (name,))
    return st.lists(st.sampled_from(CATEGORIES), unique=True).map(tuple)


@st.composite
def cases(draw: st.DrawFn, kind: ProjectKind | None = None, *, language_fields: bool = False) -> Case:
    """A project's worth of documents, of which some are labelled."""
    kind = kind or draw(st.sampled_from(ProjectKind))
    contents = draw(st.dictionaries(document, text, max_size=5))
    rows = []
    for name, body in contents.items():
        if draw(st.booleans()):
            spans = draw(spans_of(body)) if kind is ProjectKind.ENTITIES else ()
            classes = () if kind is ProjectKind.ENTITIES else draw(classes_of(kind))
            dataset = draw(st.sampled_from([None, "Train", "Test"])) if language_fields else None
            language = draw(st.sampled_from(["en-us", "de"])) if language_fields else None
            rows.append(
                LabeledDocument(
                    document=name, spans=spans, classes=classes, dataset=dataset, language=language
                )
            )
    return Case(kind, contents, tuple(rows))
