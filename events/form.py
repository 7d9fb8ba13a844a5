"""The written form of an event-driven test in a YAML file, and its check: a test, or all problems at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from events.assertion_form import AssertionForm, PatternForm, build
from events.assertions.assertion import Assertion
from events.brokers.broker import Capability
from events.brokers.broker_factory import check_address
from events.brokers.security import Mechanism, Protocol, Security
from events.chaos import Calm, Chaos
from events.chaos_form import ChaosForm
from events.documents import with_documents
from events.driven_test import EventDrivenTest, TriggerScope
from events.form_rules import broken_names, broken_rules, broken_topics
from events.form_shape import independent, without
from events.matcher import CompiledPattern
from events.paths import check_expression, compile_path
from events.pattern import EventPattern
from events.registry.registry_factory import RegistryPlace
from events.scope import Scope
from events.trigger_form import TriggerForm
from events.triggers import NoTrigger, Trigger, check_host
from model.document import read_yaml, refuse_too_large
from model.problems import InvalidError, Problem, dotted
from model.wording import in_words

LARGEST_FILE = 1_000_000
"""In characters."""


T = TypeVar("T")


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)


class ScopeForm(_Form):
    """Which events belong to the test: `path` gives `equals`, or what `fromTrigger` gives on the trigger's outcome."""

    path: str = Field(min_length=1)
    equals: JsonValue = None
    from_trigger: str | None = None


class RegistryForm(_Form):
    """Where the schemas of payloads are: a server, or a folder beside the test."""

    url: str | None = None
    folder: str | None = None


class SecurityForm(_Form):
    """How the broker is reached with TLS and a password."""

    protocol: Protocol
    mechanism: Mechanism = Mechanism.PLAIN
    username_from: str | None = None
    password_from: str | None = None
    ca_file: str | None = None

    def value(self, folder: Path | None) -> Security:
        """Return the settings; files are in `folder`. Raises: ValueError if something is missing."""
        return Security(
            protocol=self.protocol,
            mechanism=self.mechanism,
            username_from=self.username_from,
            password_from=self.password_from,
            ca_file=None if self.ca_file is None else (folder or Path()) / self.ca_file,
        )


class FileForm(_Form):
    """A whole file. `partitions` is for the topics that are made on the mock cluster or in memory."""

    name: str = Field(min_length=1, max_length=200)
    topics: list[str] = Field(min_length=1)
    broker: str = "mock:"
    security: SecurityForm | None = None
    partitions: int = Field(default=4, ge=1, le=100)
    timeout_ms: float = Field(default=10_000, gt=0, le=3_600_000)
    grace_ms: float = Field(default=0, ge=0, le=600_000)
    group_id: str | None = Field(default=None, min_length=1)
    allowed_hosts: list[str] = Field(default_factory=list)
    needs: list[Capability] = Field(default_factory=list)
    trigger: TriggerForm = Field(default_factory=TriggerForm)
    scope: ScopeForm | None = None
    registry: RegistryForm | None = None
    chaos: ChaosForm | None = None
    patterns: dict[str, PatternForm] = Field(default_factory=dict)
    assertions: list[AssertionForm] = Field(min_length=1, max_length=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTest:
    """A test, and where it runs. `written` is what the file says, but for the trigger: a replay needs none."""

    test: EventDrivenTest
    broker: str
    partitions: int
    needs: frozenset[Capability]
    security: Security | None = None
    written: JsonValue = None


def load_test(text: str, folder: Path | None = None) -> LoadedTest:
    """Return the test that a YAML text describes. Raises: InvalidError with all problems.

    AsyncAPI documents and an experiment may be named by their files, relative to `folder`, that of the test.
    """
    if len(text) > LARGEST_FILE:
        raise InvalidError([Problem(path="", message=f"the file has more than {LARGEST_FILE} characters")])
    raw = read_yaml(text)
    refuse_too_large(raw)
    return check_test(raw if folder is None else with_documents(raw, folder), folder)


def load_file(file: Path) -> LoadedTest:
    """Return the test of a file, with what it names beside it. Raises: InvalidError with all problems."""
    return load_test(_text(file), file.parent)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError([Problem(path="", message=f"cannot be read: {error}")]) from error


def check_test(raw: object, folder: Path | None = None) -> LoadedTest:
    """Return the test that plain data describe; its command starts in `folder`. Raises: InvalidError with all of it."""
    if not isinstance(raw, dict):
        raise InvalidError([Problem(path="", message="a test is a mapping with name, topics and assertions")])
    try:
        form = FileForm.model_validate(raw)
    except ValidationError as error:
        raise InvalidError([*map(_problem, error.errors()), *_also_wrong(raw, error, folder)]) from error
    return _Builder(form, folder).loaded()


def check_recorded(raw: object) -> LoadedTest:
    """Return the test of a recording, which has its scope itself. Raises: InvalidError."""
    return check_test({key: raw[key] for key in raw if key not in _LIVE} if isinstance(raw, dict) else raw)


_LIVE = frozenset({"scope", "security", "trigger"})


def _also_wrong(raw: Mapping[object, object], error: ValidationError, folder: Path | None) -> list[Problem]:
    """Return what is wrong beside the shape, so that all problems are told at once."""
    wrong = [found["loc"] for found in error.errors()]
    try:
        form = FileForm.model_validate(without(raw, wrong))
        _Builder(form, folder).loaded()
    except ValidationError:
        return []
    except InvalidError as found:
        return independent(found.problems, wrong)
    return []


class _Builder:
    """Builds the values of a form, and collects what is wrong with them."""

    def __init__(self, form: FileForm, folder: Path | None) -> None:
        self._form = form
        self._folder = folder
        self._problems: list[Problem] = []

    def loaded(self) -> LoadedTest:
        form = self._form
        patterns = self._patterns()
        assertions = self._assertions(patterns)
        trigger = self._try("trigger", self._trigger)
        scope = self._try("scope", self._scope)
        registry = self._try("registry", self._registry)
        security = self._try("security", self._security)
        chaos = self._try("chaos", self._chaos)
        lasts_ms = form.timeout_ms + form.grace_ms
        produced = form.trigger.produce
        self._problems += broken_topics(form.topics, None if produced is None else produced.topic)
        self._problems += broken_rules(form.topics, lasts_ms, form.assertions, form.patterns)
        self._problems += self._without_registry()
        self._try("broker", lambda: check_address(form.broker))
        if self._problems:
            raise InvalidError(self._problems)
        test = EventDrivenTest(
            name=form.name,
            topics=tuple(form.topics),
            assertions=tuple(assertions),
            trigger=trigger or NoTrigger(),
            timeout_ms=form.timeout_ms,
            grace_ms=form.grace_ms,
            scope=scope,
            group_id=form.group_id,
            registry=registry,
            chaos=chaos or Calm(),
        )
        return LoadedTest(
            test=test,
            broker=form.broker,
            partitions=form.partitions,
            needs=frozenset(form.needs) | ({Capability.FAULTS} if form.chaos and form.chaos.faults else set()),
            security=security,
            written=form.model_dump(mode="json", by_alias=True, exclude={"trigger"}, exclude_unset=True),
        )

    def _patterns(self) -> Mapping[str, EventPattern]:
        self._problems += broken_names(self._form.patterns)
        patterns = {name: pattern.value() for name, pattern in self._form.patterns.items()}
        for name, pattern in patterns.items():
            self._try(f"patterns.{name}", partial(CompiledPattern, pattern))
        return patterns

    def _without_registry(self) -> Iterator[Problem]:
        for number, form in enumerate(self._form.assertions):
            if form.registered is not None and self._form.registry is None:
                message = "no event can be read by a registered schema: name the `registry`"
                yield Problem(path=f"assertions[{number}].registered", message=message)

    def _assertions(self, patterns: Mapping[str, EventPattern]) -> list[Assertion]:
        found = []
        for number, form in enumerate(self._form.assertions):
            path = f"assertions[{number}]"
            self._problems += [Problem(path=f"{path}.{key}", message=text) for key, text in form.misuses()]
            assertion = self._try(path, partial(build, form, number, patterns))
            if assertion is not None and self._try(path, assertion.start) is not None:
                found.append(assertion)
        return found

    def _trigger(self) -> Trigger:
        return self._form.trigger.value(self._form.allowed_hosts, self._folder)

    def _scope(self) -> Scope | TriggerScope | None:
        form = self._form.scope
        if form is None:
            return None
        if (form.equals is None) == (form.from_trigger is None):
            raise ValueError("give either equals, or fromTrigger")
        compile_path(form.path)
        if form.from_trigger is not None:
            check_expression(form.from_trigger)
            if not self._form.trigger.model_fields_set:
                raise ValueError("fromTrigger needs a trigger, from whose outcome the value is taken")
            return TriggerScope(expression=form.path, source=form.from_trigger)
        return Scope(expression=form.path, value=form.equals)

    def _chaos(self) -> Chaos | None:
        form = self._form.chaos
        made = None if form is None else form.value()
        if made is not None and made.lasts_ms > self._form.timeout_ms:
            raise ValueError(f"it lasts {made.lasts_ms:g} ms with the recovery, longer than timeoutMs")
        return made

    def _security(self) -> Security | None:
        form = self._form.security
        return None if form is None else form.value(self._folder)

    def _registry(self) -> RegistryPlace | None:
        form = self._form.registry
        if form is None:
            return None
        if (form.url is None) == (form.folder is None):
            raise ValueError("give either url or folder")
        if form.url is not None:
            check_host(form.url, self._form.allowed_hosts)
            return RegistryPlace(url=form.url)
        folder = (self._folder or Path()) / str(form.folder)
        if self._folder is not None and not folder.is_dir():
            raise ValueError(f"there is no folder {form.folder!r} beside the test")
        return RegistryPlace(folder=folder)

    def _try(self, path: str, make: Callable[[], T]) -> T | None:
        """Return what `make` makes, or None with a problem at `path`."""
        try:
            return make()
        except ValueError as error:
            self._problems.append(Problem(path=path, message=str(error)))
            return None


def _problem(error: ErrorDetails) -> Problem:
    """Return an error of pydantic in our words."""
    location = tuple(part for part in error["loc"] if not _is_tag(part))
    if len(location) < len(error["loc"]) and _is_tag(error["loc"][-1]):
        return Problem(path=dotted(location), message="must be a JSON Schema: an object, or true or false")
    if error["type"] == "extra_forbidden":
        return Problem(path=dotted(location), message="this key is not known here")
    return Problem(path=dotted(location), message=in_words(error))


def _is_tag(part: str | int) -> bool:
    """Say whether pydantic has added a part of a location: which kind of a schema it has tried."""
    return part == "bool" or (isinstance(part, str) and part.startswith("dict["))
