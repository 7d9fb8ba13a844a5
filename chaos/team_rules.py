"""The rules of a team about its experiments: what they may cost, when they may run, who approves them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chaos.fault_types import FaultType
from chaos.time_windows import Freeze, TimeWindow
from model.examine import refuse
from model.fields import FORBID, AccountName, Name
from model.json_values import JsonObject
from model.lenient import items, mapping
from model.plain import plain
from model.problems import Finding
from model.reading import Reader

_PATH = re.compile("(local|k8s)(/[a-z0-9][a-z0-9.-]*)*")


def _place(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("must be a path such as k8s/prod, k8s/prod/shop/payments or local/shop")
    return text


Windows = Annotated[tuple[TimeWindow, ...], Field(max_length=20)]
People = Annotated[tuple[AccountName, ...], Field(max_length=100)]
Place = Annotated[str, Field(max_length=300), AfterValidator(_place)]


class Effect(StrEnum):
    """What a rule does with the experiments that it is about."""

    REFUSE = "refuse"
    APPROVE = "approve"
    """A second person must approve them."""


class Outside(StrEnum):
    """What is done with an experiment outside of the windows."""

    REFUSE = "refuse"
    HOLD = "hold"
    """It waits for the next window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRule:
    """A rule about the experiments that all of its parts match. A part that is left out matches all."""

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name for people, unique in the team")]
    effect: Annotated[Effect, Field(description="refuse, or approve: a second person must approve")]
    who: Annotated[People, Field(description="Users who submit")] = ()
    faults: Annotated[tuple[FaultType, ...], Field(max_length=20, description="Any of these is injected")] = ()
    where: Annotated[
        tuple[Place, ...],
        Field(max_length=50, description="Places of targets or their callers, with all inside of them"),
    ] = ()
    when: Annotated[Windows, Field(description="Times at which the rule holds")] = ()
    approvers: Annotated[
        People, Field(description="approve: who may; unless given everybody of the team. Never who submits")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRules:
    """All rules of one team about its experiments. Without any, everything is allowed at any time."""

    __pydantic_config__ = FORBID

    max_budget_percent: Annotated[
        float | None, Field(gt=0, le=100, description="The most of an error budget that an experiment may cost")
    ] = None
    windows: Annotated[Windows, Field(description="When experiments may run; unless given always")] = ()
    freezes: Annotated[
        tuple[Freeze, ...], Field(max_length=50, description="When they may not, whatever windows say")
    ] = ()
    outside: Annotated[Outside, Field(description="Outside of the windows: refuse, or hold until the next one")] = (
        Outside.REFUSE
    )
    rules: Annotated[tuple[TeamRule, ...], Field(max_length=50)] = ()
    preflight: Annotated[
        tuple[Name, ...], Field(max_length=5, description="Signed webhooks that must agree before the first fault")
    ] = ()
    approval_hours: Annotated[
        float, Field(gt=0, le=720, description="How long an approval is waited for, and how long it holds")
    ] = 24.0


NO_RULES = TeamRules()
FORM = Reader(TeamRules)


def check_team_rules(raw: object) -> TeamRules:
    """Return the rules that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    broken = [reading.as_sent(finding) for finding in _broken(mapping(reading.raw))]
    refuse(seen, (*reading.findings, *broken))
    return reading.required()


def team_rules_to_raw(rules: TeamRules) -> JsonObject:
    """Return rules as JSON data that `check_team_rules` reads back to equal ones."""
    raw: JsonObject = FORM.adapter.dump_python(rules, mode="json", by_alias=True, exclude_none=True)
    return raw


def _broken(document: dict[str, Any]) -> Iterator[Finding]:
    names: set[str] = set()
    for position, rule in enumerate(map(mapping, items(document.get("rules")))):
        name = rule.get("name")
        if isinstance(name, str) and name in names:
            yield Finding(location=("rules", position, "name"), message=f"{name!r} is the name of another rule too")
        names |= {name} if isinstance(name, str) else set()
        if rule.get("effect") == Effect.REFUSE and rule.get("approvers"):
            message = "belongs to a rule that is approved"
            yield Finding(location=("rules", position, "approvers"), message=message)
    for position, freeze in enumerate(map(mapping, items(document.get("freezes")))):
        start, end = _moment(freeze.get("start")), _moment(freeze.get("end"))
        if start and end and end <= start:
            yield Finding(location=("freezes", position, "end"), message="must be after the start")


def _moment(value: object) -> datetime | None:
    """Return a time with its zone; None for anything else, which is told elsewhere."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
