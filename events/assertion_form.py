"""The written form of assertions: each has one key that names its kind, and the keys that this kind takes."""

from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel

from events.assertions.aggregates import Aggregate, Measure
from events.assertions.assertion import Assertion
from events.assertions.effects import ExactlyOnce
from events.assertions.every_event import CLOUDEVENT_IDENTITY, Conformance, NoDuplicates, Registered, dead_letter
from events.assertions.occurrences import EventAssertion, never
from events.assertions.ordering import Ordering, OrderingConstraint
from events.asyncapi import message_schemas
from events.pattern import ANY_EVENT, EventPattern
from events.temporal.causality import HappensBefore
from events.temporal.rule import TemporalRule


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class PatternForm(_Form):
    """What an event must be like. A text instead of a mapping is the type."""

    type: str = "*"
    topic: str = "*"
    where: str | None = None
    payload: JsonValue = None
    matches: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    attributes: dict[str, str] = Field(default_factory=dict)
    json_schema: dict[str, JsonValue] | bool | None = Field(default=None, alias="schema")

    @model_validator(mode="before")
    @classmethod
    def _from_type(cls, raw: object) -> object:
        return {"type": raw} if isinstance(raw, str) else raw

    def value(self) -> EventPattern:
        """Return the pattern."""
        return EventPattern(
            type=self.type,
            topic=self.topic,
            where=self.where,
            payload=self.payload,
            matches=self.matches,
            headers=self.headers,
            attributes=self.attributes,
            schema=self.json_schema,
        )


class PairForm(_Form):
    """Two patterns: `first` happens before `then`."""

    first: PatternForm
    then: PatternForm


class EffectForm(_Form):
    """A command and its effect, by idempotency key."""

    command: PatternForm
    effect: PatternForm
    key: str
    effect_key: str | None = None


class AssertionForm(_Form):
    """One assertion. The fields before `name` are its kind; exactly one of them is given."""

    expect: PatternForm | None = None
    never: PatternForm | None = None
    order: list[PatternForm] | None = None
    aggregate: PatternForm | None = None
    conforms: dict[str, dict[str, JsonValue] | bool] | None = Field(default=None, min_length=1)
    asyncapi: dict[str, JsonValue] | None = None
    registered: PatternForm | None = None
    unique: PatternForm | None = None
    dead_letter: str | None = None
    rule: str | None = None
    happens_before: PairForm | None = None
    exactly_once: EffectForm | None = None

    name: str | None = None
    timeout_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    min_occurrences: int = 1
    max_occurrences: int | None = None
    ordering: OrderingConstraint = OrderingConstraint.RELATIVE
    per: str | None = None
    measure: Measure = Measure.COUNT
    of: str | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    by: list[str] | None = None
    others_allowed: bool = False

    def kinds(self) -> list[str]:
        """Return the kinds that are given."""
        return [kind for kind in KINDS if getattr(self, kind) is not None]

    def misuses(self) -> Iterator[tuple[str, str]]:
        """Return the keys that the kind does not take, each with what is wrong."""
        kinds = self.kinds()
        if len(kinds) != 1:
            return
        taken = {"name", *TAKEN[kinds[0]], *kinds}
        for name in sorted(self.model_fields_set - taken):
            yield to_camel(name), f"{to_camel(kinds[0])!r} does not take this key"


Patterns = Mapping[str, EventPattern]

TAKEN: Mapping[str, frozenset[str]] = {
    "expect": frozenset({"timeout_ms", "min_occurrences", "max_occurrences"}),
    "never": frozenset({"timeout_ms"}),
    "order": frozenset({"ordering", "per", "timeout_ms"}),
    "aggregate": frozenset({"measure", "of", "per", "at_least", "at_most"}),
    "conforms": frozenset({"others_allowed"}),
    "asyncapi": frozenset({"others_allowed"}),
    "registered": frozenset(),
    "unique": frozenset({"by"}),
    "dead_letter": frozenset({"timeout_ms"}),
    "rule": frozenset({"per"}),
    "happens_before": frozenset({"per"}),
    "exactly_once": frozenset(),
}
"""The keys that each kind takes beside its name."""
KINDS = tuple(TAKEN)


def build(form: AssertionForm, number: int, patterns: Patterns) -> Assertion:
    """Return the assertion that a form describes. Raises: ValueError."""
    kinds = form.kinds()
    if len(kinds) != 1:
        known = ", ".join(to_camel(kind) for kind in KINDS)
        raise ValueError(f"an assertion has one of {known}; here are {len(kinds)} of them")
    name = form.name or f"{number + 1}: {to_camel(kinds[0])}"
    return _BUILDERS[kinds[0]](form, name, patterns)


def _expect(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return EventAssertion(
        name=name,
        pattern=_value(form.expect),
        timeout_ms=form.timeout_ms,
        min_occurrences=form.min_occurrences,
        max_occurrences=form.max_occurrences,
    )


def _never(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return never(name, _value(form.never), timeout_ms=form.timeout_ms)


def _order(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    patterns = tuple(pattern.value() for pattern in form.order or ())
    return Ordering(name=name, patterns=patterns, ordering=form.ordering, per=form.per, timeout_ms=form.timeout_ms)


def _aggregate(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return Aggregate(
        name=name,
        pattern=_value(form.aggregate),
        measure=form.measure,
        of=form.of,
        per=form.per,
        at_least=form.at_least,
        at_most=form.at_most,
    )


def _conforms(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return Conformance(name=name, schemas=form.conforms or {}, others_allowed=form.others_allowed)


def _asyncapi(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    found = message_schemas(form.asyncapi)
    return Conformance(name=name, schemas=found.types, topics=found.topics, others_allowed=form.others_allowed)


def _registered(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return Registered(name=name, pattern=_value(form.registered))


def _unique(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    by = CLOUDEVENT_IDENTITY if form.by is None else tuple(form.by)
    if not by:
        raise ValueError("by: at least one expression is needed")
    return NoDuplicates(name=name, pattern=_value(form.unique), by=by)


def _dead_letter(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    return never(name, dead_letter(form.dead_letter or ""), timeout_ms=form.timeout_ms)


def _rule(form: AssertionForm, name: str, patterns: Patterns) -> Assertion:
    return TemporalRule(name=name, rule=form.rule or "", patterns=patterns, per=form.per)


def _happens_before(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    pair = form.happens_before
    first, then = (None, None) if pair is None else (pair.first, pair.then)
    return HappensBefore(name=name, cause=_value(first), effect=_value(then), per=form.per)


def _exactly_once(form: AssertionForm, name: str, _patterns: Patterns) -> Assertion:
    once = form.exactly_once
    if once is None:
        raise ValueError("exactlyOnce is missing")
    return ExactlyOnce(
        name=name,
        command=once.command.value(),
        effect=once.effect.value(),
        key=once.key,
        effect_key=once.effect_key,
    )


def _value(form: PatternForm | None) -> EventPattern:
    return ANY_EVENT if form is None else form.value()


_BUILDERS: Mapping[str, Callable[[AssertionForm, str, Patterns], Assertion]] = {
    "expect": _expect,
    "never": _never,
    "order": _order,
    "aggregate": _aggregate,
    "conforms": _conforms,
    "asyncapi": _asyncapi,
    "registered": _registered,
    "unique": _unique,
    "dead_letter": _dead_letter,
    "rule": _rule,
    "happens_before": _happens_before,
    "exactly_once": _exactly_once,
}
