"""Why a row was set aside: stable codes, so that scripts and people can tell the causes apart.

Prevents the failure of converters that drop or stop: one bad row is put into quarantine with a code
and a reason, and the rest goes on.
"""

from enum import StrEnum


class Code(StrEnum):
    """Codes of quarantined rows. They are written to files: never rename one."""

    BROKEN_JSON = "broken_json"
    """Not JSON: syntax, NaN, a lone surrogate in an escape."""
    NESTED_TOO_DEEP = "nested_too_deep"
    """Nested deeper than the parser follows."""
    LINE_TOO_LONG = "line_too_long"
    """Longer than any real row (`lines.MAX_LINE_BYTES`); it was not parsed."""
    ROW_SHAPE = "row_shape"
    """JSON, but not a row of this project kind: a field is missing or has another type."""
    INVALID_UTF8 = "invalid_utf8"
    """The row or the document's text is not UTF-8, so no offset in it means anything."""
    DUPLICATE_DOCUMENT = "duplicate_document"
    """The same source had a row for this document before; that first row was kept."""
    DOCUMENT_MISSING = "document_missing"
    """There is no such document."""
    DOCUMENT_TOO_LONG = "document_too_long"
    """Longer than Language takes."""
    PATH_OUTSIDE_DATASTORE = "path_outside_datastore"
    """Another datastore or scheme, an absolute path, or a path with `.` or `..` in it."""
    AMBIGUOUS_PATH = "ambiguous_path"
    """The path as it stands and the path percent-decoded both name a document."""
    EMPTY_SPAN = "empty_span"
    """A span that ends where it starts."""
    SPAN_OUT_OF_RANGE = "span_out_of_range"
    """A span that starts before the text, ends after it, or ends before it starts."""
    SPAN_SPLITS_PAIR = "span_splits_pair"
    """A span that starts or ends between the two UTF-16 units of one character."""
    SPAN_TOO_LONG = "span_too_long"
    """Longer than Language takes."""
    AMBIGUOUS_OFFSET_UNIT = "ambiguous_offset_unit"
    """Read as UTF-16 units and as code points the row is valid both times, but means other text."""
    AMBIGUOUS_REGION = "ambiguous_region"
    """Labels in a region that does not start at 0: what their offsets count from is not published."""
    UNSUPPORTED_STRING_INDEX = "unsupported_string_index"
    """The project file counts offsets in something else than UTF-16 units."""
    UNKNOWN_CATEGORY = "unknown_category"
    """The project has no such category."""
    FORBIDDEN_CATEGORY = "forbidden_category"
    """A category name that Language does not allow."""
    CATEGORY_COLLISION = "category_collision"
    """The categories map gives another category this name, so it could not be told apart on the way back."""
    AMBIGUOUS_CLASSES = "ambiguous_classes"
    """A comma-joined string that can be cut into the project's categories in more than one way."""
    TOO_MANY_LABELS = "too_many_labels"
    """More than one class in a single-label project."""
    MISSING_LABEL = "missing_label"
    """No class in a single-label project, which has no form for "labelled with nothing"."""


class RejectedRowError(Exception):
    """Raised inside a reader for one row; the reader turns it into a `Quarantined`."""

    def __init__(self, code: Code, reason: str) -> None:
        """`reason` is a sentence for people; it may change, `code` may not."""
        super().__init__(reason)
        self.code = code
        self.reason = reason
