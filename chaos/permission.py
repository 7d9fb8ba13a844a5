"""Whether the rules of a team allow an experiment: at the submit, before its first step, and before the first fault.

1. What a rule refuses is refused. All reasons are told at once.
2. A rule matches if all of its parts do. A place matches what is inside of it, and what it is inside of.
3. Where several rules ask for an approval, one person whom all of them accept approves once. Who submitted never may.
4. The baseline and the faults must fit into one open time. The recovery may be outside: nothing is broken then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.experiment import Experiment
from chaos.price import over_the_limit_of_a_team
from chaos.team_rules import Effect, Outside, TeamRule, TeamRules
from chaos.time_windows import HORIZON, TimeWindow, freeze_at, is_within, open_from
from model.claims import Claim, conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who wants to run what, where, and from when on. `needs` is how long it must be open from then."""

    team: str
    user: str
    experiment: Experiment
    paths: tuple[str, ...]
    at: datetime
    needs: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the rules say. It may begin at `opens`, and must end its faults before `closes`, if that is known.

    `asks` are the rules that want a second person. `why_later` says why `opens` is later than was asked for.
    """

    refusals: tuple[str, ...]
    asks: tuple[TeamRule, ...]
    opens: datetime
    closes: datetime | None
    why_later: str = ""


def permission(rules: TeamRules, attempt: Attempt) -> Permission:
    """Return what the rules of a team say about an attempt."""
    found = open_from(rules.windows, rules.freezes, attempt.at, attempt.needs)
    opens = found.begins if found else attempt.at
    later = found is None or opens > attempt.at
    closed = [_closed(rules, attempt, found.begins if found else None)] if later else []
    refused = found is None or rules.outside is Outside.REFUSE
    matching = [rule for rule in rules.rules if _matches(rule, attempt, opens)]
    too_dear = over_the_limit_of_a_team(attempt.experiment, rules.max_budget_percent, attempt.team)
    return Permission(
        refusals=(
            *too_dear,
            *(_refusal(rule, attempt) for rule in matching if rule.effect is Effect.REFUSE),
            *(closed if refused else ()),
        ),
        asks=tuple(rule for rule in matching if rule.effect is Effect.APPROVE),
        opens=opens,
        closes=found.ends if found and found.ends < attempt.at + HORIZON else None,
        why_later="" if refused else "; ".join(closed),
    )


def may_approve(asks: Sequence[TeamRule], person: str, submitter: str, *, of_team: bool) -> bool:
    """Say whether a person may approve what these rules ask about. `of_team`: the person is in the submitter's team."""
    if person == submitter:
        return False
    return all(person in rule.approvers if rule.approvers else of_team for rule in asks)


def _matches(rule: TeamRule, attempt: Attempt, at: datetime) -> bool:
    faults = {fault.type for fault in attempt.experiment.faults}
    return (
        (not rule.who or attempt.user in rule.who)
        and (not rule.faults or bool(faults & set(rule.faults)))
        and (not rule.where or any(_overlap(place, path) for place in rule.where for path in attempt.paths))
        and (not rule.when or is_within(rule.when, at))
    )


def _overlap(place: str, path: str) -> bool:
    return conflict(Claim(path=place), Claim(path=path))


def _refusal(rule: TeamRule, attempt: Attempt) -> str:
    return (
        f"the rule {rule.name!r} of the team {attempt.team} refuses it ({_matched(rule)}); who has the key of the "
        f"installation changes rules (`assay team chaos-rules {attempt.team}`)"
    )


def _matched(rule: TeamRule) -> str:
    """Return in words what a rule is about, all of which matched."""
    when = [_span(one) for one in rule.when]
    parts: dict[str, Sequence[str]] = {"who": rule.who, "faults": rule.faults, "where": rule.where, "when": when}
    said = [f"{key}: {', '.join(values)}" for key, values in parts.items() if values]
    return "; ".join(said) or "it is about every experiment"


def _span(window: TimeWindow) -> str:
    return f"{' '.join(window.days)} {window.start} to {window.end} {window.timezone}"


def _closed(rules: TeamRules, attempt: Attempt, opens: datetime | None) -> str:
    freeze = freeze_at(rules.freezes, attempt.at)
    said = f"the team {attempt.team} runs no experiments of {attempt.needs / timedelta(seconds=1):g} s now"
    if freeze is not None:
        said += f" ({freeze.reason})"
    if opens is None:
        return f"{said}, and no window of the next {HORIZON.days} days is long enough"
    return f"{said}; the next window begins at {opens:%Y-%m-%d %H:%M} UTC"
