"""The language of `--where`: `active=azureml and not (state in (switching, syncing) or workspace=old)`.

Prevents an act on projects that nobody meant: a filter is read as a whole before anything is done, each value is
checked against what its field can be, and what cannot be read is refused with its place and what would be right.
Pure: workflow code imports it. `visibility` turns a filter into a query of Temporal's.

Grammar, from what binds least::

    any        = all {"or" all}
    all        = unary {"and" unary}
    unary      = "not" unary | "(" any ")" | comparison
    comparison = FIELD ("=" | "!=") VALUE | FIELD ["not"] "in" "(" VALUE {"," VALUE} ")"
    VALUE      = a bare word, or quoted by ' or ", where a doubled quote is a quote
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from labelbridge.errors import LabelbridgeError
from labelbridge.fleet._values import ValueRefusedError, equal, normal
from labelbridge.fleet.facts import Facts

LONGEST = 4_000
"""Characters of a filter."""
DEEPEST = 50
"""Nested parentheses and `not`s: a filter is read by recursion."""
MOST_VALUES = 200
KEYWORDS = frozenset({"and", "or", "not", "in"})
_BARE = r"[A-Za-z0-9_./:\-]+"
_TOKEN = re.compile(
    rf"""\s*(?:(?P<sign>!=|=|\(|\)|,)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<word>{_BARE})|(?P<end>\Z))"""
)
EXAMPLE = "active=language and kind in (entities, multi-label)"


class Field(StrEnum):
    """What can be asked of a project."""

    NAME = "name"
    KIND = "kind"
    ACTIVE = "active"
    STATE = "state"
    RESOURCE = "resource"
    WORKSPACE = "workspace"
    ATTENTION = "attention"
    EPOCH = "epoch"


@dataclass(frozen=True)
class Compare:
    """A field is one of these values, or (`negated`) none of them."""

    field: Field
    values: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        """As it is written."""
        shown = [_written(value) for value in self.values]
        if len(shown) == 1:
            return f"{self.field}{'!=' if self.negated else '='}{shown[0]}"
        return f"{self.field}{' not' if self.negated else ''} in ({', '.join(shown)})"


@dataclass(frozen=True)
class Not:
    """The inner filter does not match."""

    inner: "Where"

    def __str__(self) -> str:
        """As it is written."""
        return f"not {_enclosed(self.inner, (All, Any))}"


@dataclass(frozen=True)
class All:
    """Every part matches. At least two parts, none of which is itself `All`."""

    parts: tuple["Where", ...]

    def __str__(self) -> str:
        """As it is written."""
        return " and ".join(_enclosed(part, (All, Any)) for part in self.parts)


@dataclass(frozen=True)
class Any:
    """Some part matches. At least two parts, none of which is itself `Any`."""

    parts: tuple["Where", ...]

    def __str__(self) -> str:
        """As it is written."""
        return " or ".join(_enclosed(part, (Any,)) for part in self.parts)


Where = Compare | Not | All | Any


def parse(text: str) -> Where | None:
    """Read a filter; None for one that says nothing, which every project matches.

    Raises:
        LabelbridgeError: `where_invalid`, with the place (`data["position"]`, from 1) and what would be right.
    """
    return None if not text.strip() else _Reader(text).read()


def matches(where: Where | None, facts: Facts) -> bool:
    """True if the project is meant."""
    if where is None:
        return True
    if isinstance(where, Compare):
        found = any(equal(where.field.value, facts, value) for value in where.values)
        return found is not where.negated
    if isinstance(where, Not):
        return not matches(where.inner, facts)
    judged = (matches(part, facts) for part in where.parts)
    return all(judged) if isinstance(where, All) else any(judged)


def _enclosed(where: Where, loose: tuple[type, ...]) -> str:
    return f"({where})" if isinstance(where, loose) else str(where)


def _written(value: str) -> str:
    if re.fullmatch(_BARE, value) and value.casefold() not in KEYWORDS:
        return value
    return "'" + value.replace("'", "''") + "'"


class _Reader:
    """Reads one filter by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._at = self._next = 0
        self._kind, self._token = "", ""
        if len(text) > LONGEST:
            raise self._wrong(f"it has more than {LONGEST} characters", "Say it shorter.")
        self._advance()

    def read(self) -> Where:
        found = self._any()
        if self._kind != "end":
            raise self._wrong(f"{self._seen()} cannot stand here", "Join comparisons with `and` or `or`.")
        return found

    # Tokens.

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            self._at = len(self._text) - len(self._text[self._next :].lstrip())
            odd = self._text[self._at]
            hint = f"Close the quotes: {odd}…{odd}." if odd in "'\"" else "Put such a value into quotes."
            raise self._wrong(f"{odd!r} cannot be read", hint)
        self._kind = str(found.lastgroup)
        self._at, self._next = found.start(self._kind), found.end()
        self._token = found[self._kind]

    def _take(self, *words: str) -> bool:
        """Go on if one of these comes next: a sign, or a keyword that is not quoted."""
        if self._kind == "quoted" or self._token.casefold() not in words:
            return False
        self._advance()
        return True

    def _need(self, sign: str, remedy: str) -> None:
        if not self._take(sign):
            raise self._wrong(f"{self._seen()} where `{sign}` is needed", remedy)

    def _seen(self) -> str:
        return "the end" if self._kind == "end" else f"`{self._token}`"

    def _wrong(self, what: str, remedy: str) -> LabelbridgeError:
        place = self._at + 1
        start = max(0, self._at - 30)
        part = self._text[start : self._at + 30].replace("\n", " ")
        return LabelbridgeError(
            "where_invalid",
            f"--where, character {place}: {what}.\n  {part}\n  {' ' * (self._at - start)}^",
            remedy=remedy,
            data={"position": str(place)},
        )

    # The grammar.

    def _any(self) -> Where:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any(_flat(parts, Any))

    def _all(self) -> Where:
        parts = [self._unary()]
        while self._take("and"):
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else All(_flat(parts, All))

    def _unary(self) -> Where:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} levels", "Say it with fewer parentheses.")
        try:
            if self._take("not"):
                return Not(self._unary())
            if self._take("("):
                inner = self._any()
                self._need(")", "Close the parenthesis.")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Compare:
        field = self._field()
        if self._take("="):
            return Compare(field, (self._value(field),))
        if self._take("!="):
            return Compare(field, (self._value(field),), negated=True)
        negated = self._take("not")
        if not self._take("in"):
            raise self._wrong(f"{self._seen()} where `=`, `!=` or `in` is needed", f"E.g. `{EXAMPLE}`.")
        self._need("(", f"E.g. `{field} in (A, B)`.")
        values = [self._value(field)]
        while self._take(","):
            values.append(self._value(field))
        self._need(")", "Close the list of values.")
        if len(values) > MOST_VALUES:
            raise self._wrong(f"more than {MOST_VALUES} values", "Join several lists with `or`.")
        return Compare(field, tuple(dict.fromkeys(values)), negated)

    def _field(self) -> Field:
        word = self._token.casefold()
        if self._kind != "word" or word not in {field.value for field in Field}:
            fields = ", ".join(field.value for field in Field)
            raise self._wrong(f"{self._seen()} is no field", f"Fields are {fields}. E.g. `{EXAMPLE}`.")
        self._advance()
        return Field(word)

    def _value(self, field: Field) -> str:
        if self._kind == "quoted":
            quote = self._token[0]
            text = self._token[1:-1].replace(quote * 2, quote)
        elif self._kind == "word" and self._token.casefold() not in KEYWORDS:
            text = self._token
        else:
            raise self._wrong(f"{self._seen()} where a value is needed", "Put odd values into quotes: 'in'.")
        try:
            value = normal(field.value, text)
        except ValueRefusedError as error:
            raise self._wrong(f"{text!r} is no {field}", str(error)) from error
        self._advance()
        return value


def _flat(parts: list[Where], kind: type[All] | type[Any]) -> tuple[Where, ...]:
    """`a and (b and c)` is `a and b and c`: one way to hold what means one thing."""
    found: list[Where] = []
    for part in parts:
        found += part.parts if isinstance(part, All | Any) and isinstance(part, kind) else (part,)
    return tuple(found)
