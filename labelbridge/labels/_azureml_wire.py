"""The fields of Azure ML's rows that are read or written.

The form is rebuilt from AutoML's reader and writer of these rows; Azure publishes no specification.
"""

import msgspec


class AmlSpan(msgspec.Struct, gc=False):
    """A labelled stretch; what its offsets count is not published."""

    label: str
    start: int = msgspec.field(name="offsetStart")
    end: int = msgspec.field(name="offsetEnd")


# The confidence of a label is not carried: Language has no place for it. Hence no field for it here.
class SpanRow(msgspec.Struct, gc=False):
    """A row of an entity project."""

    image_url: str
    label: list[AmlSpan]


class SpanRowWithText(SpanRow, gc=False):
    """The same in a self-contained file, which is our own extension: Azure keeps texts in blobs."""

    text: str | None = None


class ClassRow(msgspec.Struct, gc=False):
    """A row of a classification project."""

    image_url: str
    label: str | list[str]


class ClassRowWithText(ClassRow, gc=False):
    """The same in a self-contained file."""

    text: str | None = None


class UrlRow(msgspec.Struct, gc=False):
    """Any row: which document it is about."""

    image_url: str


class SpanRowOut(msgspec.Struct, gc=False):
    """A row of an entity project, to be written."""

    image_url: str
    label: list[AmlSpan]
    label_confidence: list[float]


class ClassRowOut(msgspec.Struct, gc=False):
    """A row of a classification project, to be written."""

    image_url: str
    label: str | list[str]
    label_confidence: float | list[float]


span_row = msgspec.json.Decoder(SpanRow)
class_row = msgspec.json.Decoder(ClassRow)
url_row = msgspec.json.Decoder(UrlRow)
any_json = msgspec.json.Decoder()
