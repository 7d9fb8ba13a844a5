"""The rules across the parts of a written test: each part may be right, and still make an empty assertion."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from pydantic import BaseModel

from events.assertion_form import AssertionForm, PatternForm
from events.event import Milliseconds
from events.temporal.text import is_name
from model.problems import Problem

_NO_TOPIC = "is no name of a topic: letters, digits, '.', '_' and '-', at most 249 of them"
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


def broken_topics(topics: Sequence[str], produced: str | None) -> Iterator[Problem]:
    """Yield what no Kafka allows as a topic, and topics that are named twice. `produced` is that of the trigger."""
    if produced is not None and not _TOPIC.fullmatch(produced):
        yield Problem(path="trigger.produce.topic", message=_NO_TOPIC)
    for number, topic in enumerate(topics):
        if not _TOPIC.fullmatch(topic):
            yield Problem(path=f"topics[{number}]", message=_NO_TOPIC)
        elif topic in topics[:number]:
            yield Problem(path=f"topics[{number}]", message=f"{topic!r} is named twice")


def broken_names(names: Iterable[str]) -> Iterator[Problem]:
    """Yield the names of patterns that no rule can name."""
    for name in names:
        if not is_name(name):
            message = "a rule cannot name it: letters, digits, '_' and '.' are allowed, and no word of the rules"
            yield Problem(path=f"patterns.{name}", message=message)


def broken_rules(
    topics: Sequence[str],
    lasts_ms: Milliseconds,
    assertions: Sequence[AssertionForm],
    patterns: Mapping[str, PatternForm],
) -> Iterator[Problem]:
    """Yield what assertions say about topics that nobody reads, and times and names that do not fit the test."""
    for name, pattern in patterns.items():
        yield from _unread(f"patterns.{name}", pattern, topics)
    names: set[str] = set()
    for number, form in enumerate(assertions):
        path = f"assertions[{number}]"
        yield from _unread(path, form, topics)
        if form.dead_letter is not None and not _is_read(form.dead_letter, topics):
            yield Problem(path=f"{path}.deadLetter", message=_UNREAD.format(form.dead_letter))
        if form.timeout_ms is not None and form.timeout_ms > lasts_ms:
            message = f"is longer than the test with graceMs, {lasts_ms:g} ms: it would end before"
            yield Problem(path=f"{path}.timeoutMs", message=message)
        if form.name in names:
            yield Problem(path=f"{path}.name", message="two assertions have this name")
        names |= {form.name} if form.name else set()


_UNREAD = "the test does not read {!r}: add it to topics"


def _unread(path: str, form: BaseModel, topics: Sequence[str]) -> Iterator[Problem]:
    """Yield the patterns anywhere inside of a form that no topic of the test fits."""
    if isinstance(form, PatternForm):
        if not _is_read(form.topic, topics):
            yield Problem(path=f"{path}.topic", message=_UNREAD.format(form.topic))
        return
    for key, field in type(form).model_fields.items():
        value = getattr(form, key)
        inner = value if isinstance(value, list) else [value]
        for place, one in enumerate(inner):
            if isinstance(one, BaseModel):
                at = f"{path}.{field.alias or key}" + (f"[{place}]" if isinstance(value, list) else "")
                yield from _unread(at, one, topics)


def _is_read(glob: str, topics: Sequence[str]) -> bool:
    return any(fnmatchcase(topic, glob) for topic in topics)
