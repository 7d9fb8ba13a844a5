"""Read temporal rules from text, such as `always(paid -> within(5s, shipped))`.

A rule is made of names of patterns, `true`, `false`, `not`, `and`, `or`, `->`, brackets, and these operators. A
duration is a number with `ms`, `s`, `m` or `h`.

| text | meaning |
|---|---|
| `always(f)`, `always(5s, f)` | at each event from now on; for 5 seconds |
| `eventually(f)`, `within(5s, f)`, `between(1s, 5s, f)` | at some event from now on; in 5 seconds; in 1 to 5 seconds |
| `never(f)`, `never(5s, f)` | at no event from now on; for 5 seconds |
| `until(f, g)`, `until(5s, f, g)` | f at each event until g, which must come; within 5 seconds |
| `once(f)`, `once(5s, f)` | at some event until now; at most 5 seconds ago |
| `historically(f)`, `historically(5s, f)` | at each event until now; of the last 5 seconds |
| `since(f, g)`, `since(5s, f, g)` | f at each event since g, which has come; at most 5 seconds ago |
| `before(f, g)` | whenever g comes, f has come before it: `always(g -> once(f))` |
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from events.event import Milliseconds
from events.temporal.formula import (
    EVER,
    Always,
    And,
    Atom,
    Constant,
    Eventually,
    Formula,
    Historically,
    Implies,
    Not,
    Once,
    Or,
    Since,
    Until,
    Window,
    check_formula,
)

UNITS: Mapping[str, Milliseconds] = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
LONGEST_RULE = 4_000
DEEPEST = 50
_TOO_DEEP = f"the rule is nested more than {DEEPEST} deep"
_NAME = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_TOKEN = re.compile(
    r"\s*(?:(?P<duration>-?\d+(?:\.\d+)?(?:ms|s|m|h)\b)|(?P<name>[A-Za-z_][\w.]*)|(?P<mark>->|[(),]))", re.ASCII
)

Build: TypeAlias = Callable[[list[Milliseconds], list[Formula]], Formula]


@dataclass(frozen=True, slots=True)
class _Operator:
    """How an operator is called: how many durations it may have and how many formulas it needs."""

    durations: range
    formulas: int
    build: Build


def _window(durations: list[Milliseconds]) -> Window:
    return Window(0, durations[0]) if durations else EVER


_OPTIONAL, _ONE, _TWO, _NONE = range(2), range(1, 2), range(2, 3), range(1)
OPERATORS: Mapping[str, _Operator] = {
    "always": _Operator(_OPTIONAL, 1, lambda times, inner: Always(inner[0], _window(times))),
    "never": _Operator(_OPTIONAL, 1, lambda times, inner: Always(Not(inner[0]), _window(times))),
    "eventually": _Operator(_OPTIONAL, 1, lambda times, inner: Eventually(inner[0], _window(times))),
    "within": _Operator(_ONE, 1, lambda times, inner: Eventually(inner[0], _window(times))),
    "between": _Operator(_TWO, 1, lambda times, inner: Eventually(inner[0], Window(times[0], times[1]))),
    "until": _Operator(_OPTIONAL, 2, lambda times, inner: Until(inner[0], inner[1], _window(times))),
    "once": _Operator(_OPTIONAL, 1, lambda times, inner: Once(inner[0], _window(times))),
    "historically": _Operator(_OPTIONAL, 1, lambda times, inner: Historically(inner[0], _window(times))),
    "since": _Operator(_OPTIONAL, 2, lambda times, inner: Since(inner[0], inner[1], _window(times))),
    "before": _Operator(_NONE, 2, lambda _times, inner: Always(Implies(inner[1], Once(inner[0])))),
}
_WORDS = frozenset({"not", "and", "or", "true", "false", *OPERATORS})


@dataclass(frozen=True, slots=True)
class Rule:
    """A formula, and the names of its atoms: atom n is the pattern called `names[n]`."""

    formula: Formula
    names: tuple[str, ...]


def parse_rule(text: str) -> Rule:
    """Return the rule that `text` describes. Raises: ValueError that says where it is wrong."""
    if len(text) > LONGEST_RULE:
        raise ValueError(f"the rule has {len(text)} characters, at most {LONGEST_RULE} are allowed")
    parser = _Parser(text)
    formula = parser.whole()
    check_formula(formula)
    return Rule(formula, tuple(parser.names))


class _Parser:
    """A recursive descent over the tokens. `->` binds least, then `or`, then `and`, then `not`."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0
        self.names: dict[str, int] = {}

    def whole(self) -> Formula:
        formula = self._implication()
        if self._peek():
            raise ValueError(f"{self._peek()!r} was not expected after a whole formula")
        return formula

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, wanted: str) -> bool:
        if self._peek() != wanted:
            return False
        self._next += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise ValueError(f"{wanted!r} is missing before {self._peek() or 'the end'!r}")

    def _implication(self) -> Formula:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        left = self._disjunction()
        formula = Implies(left, self._implication()) if self._take("->") else left
        self._depth -= 1
        return formula

    def _disjunction(self) -> Formula:
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        return _balanced(parts, Or)

    def _conjunction(self) -> Formula:
        parts = [self._factor()]
        while self._take("and"):
            parts.append(self._factor())
        return _balanced(parts, And)

    def _factor(self) -> Formula:
        if self._take("not"):
            self._depth += 1
            if self._depth > DEEPEST:
                raise ValueError(_TOO_DEEP)
            formula: Formula = Not(self._factor())
            self._depth -= 1
            return formula
        if self._take("("):
            formula = self._implication()
            self._expect(")")
            return formula
        word = self._peek()
        if not word or not (word[0].isalpha() or word[0] == "_") or word in {"and", "or"}:
            raise ValueError(f"a formula is missing before {word or 'the end'!r}")
        self._next += 1
        if word in {"true", "false"}:
            return Constant(word == "true")
        if self._peek() == "(":
            return self._call(word)
        if word in OPERATORS:
            raise ValueError(f"{word!r} needs its formula in brackets")
        return Atom(self.names.setdefault(word, len(self.names)))

    def _call(self, word: str) -> Formula:
        operator = OPERATORS.get(word)
        if operator is None:
            raise ValueError(f"there is no operator {word!r}; there are {', '.join(sorted(OPERATORS))}")
        self._expect("(")
        times: list[Milliseconds] = []
        while (time := _duration(self._peek())) is not None:
            times.append(time)
            self._next += 1
            self._expect(",")
        formulas = [self._implication()]
        while self._take(","):
            formulas.append(self._implication())
        self._expect(")")
        if len(times) not in operator.durations or len(formulas) != operator.formulas:
            wanted = f"{_some(operator.durations, 'duration')} and {operator.formulas} formula"
            plural = "s" if operator.formulas > 1 else ""
            raise ValueError(f"{word!r} takes {wanted}{plural}; here are {len(times)} and {len(formulas)}")
        return operator.build(times, formulas)


def _tokens(text: str) -> Iterator[str]:
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(_not_a_token(text, position))
        yield found.group().strip()
        position = found.end()


def _not_a_token(text: str, position: int) -> str:
    rest = text[position:].lstrip()
    hint = ""
    if rest[0].isdigit() or (position and rest[0] == "-" and rest[1:2].isdigit()):
        hint = "; a duration has a unit: 500ms, 5s, 2m, 1h"
    elif rest[0] in "-/:#*?@" or not rest.isascii():
        hint = "; name a type with such characters under `patterns`, and use that name"
    return f"{rest[:20]!r} at character {position + 1} is not part of a rule{hint}"


def _some(counts: range, word: str) -> str:
    """Return how many are wanted, in words: `no duration`, `at most 1 duration`, `2 durations`."""
    least, most = counts[0], counts[-1]
    plural = "s" if most > 1 else ""
    if most == 0:
        return f"no {word}"
    return f"{most} {word}{plural}" if least == most else f"at most {most} {word}{plural}"


def _balanced(parts: list[Formula], join: type[And] | type[Or]) -> Formula:
    """Return the junction of many formulas, as flat as can be: walks over formulas are recursive."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return join(_balanced(parts[:middle], join), _balanced(parts[middle:], join))


def is_name(text: str) -> bool:
    """Say whether a rule can name a pattern so."""
    return _NAME.fullmatch(text) is not None and text not in _WORDS


def _duration(token: str) -> Milliseconds | None:
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?)(ms|s|m|h)", token)
    if found is None:
        return None
    return float(found[1]) * UNITS[found[2]]
