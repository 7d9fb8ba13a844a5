"""What the rules of a team say about an execution: when it is submitted, and at the steps before its faults."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from chaos.approval import ApprovalState, Wants, experiment_digest, reason_against
from chaos.experiment import Experiment
from chaos.permission import Attempt, Permission, may_approve, permission
from chaos.team_rules import NO_RULES, Effect, Outside, TeamRule, TeamRules, check_team_rules
from db import chaos_approvals, chaos_rules, definitions, people, runs
from db.chaos_approvals import ApprovalRow, Asked
from db.errors import ConflictError
from db.people import User
from db.runs import Run
from model.ids import RunId, TeamId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be done where, from when on."""

    experiment: Experiment
    paths: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Until when an execution waits, and why."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the rules say at a step. `ruled`: there are rules. `closes`: when its faults must have ended.

    `most`: what it may cost of an error budget, in percent.
    """

    ruled: bool
    against: tuple[str, ...] = ()
    held: Held | None = None
    closes: datetime | None = None
    said: str = ""
    most: float | None = None


def rules_of(conn: Connection, team: TeamId | None) -> tuple[str, TeamRules]:
    """Return the name and the rules of a team. Who is in no team has no rules."""
    if team is None:
        return "", NO_RULES
    name, raw = chaos_rules.read(conn, team)
    return name, check_team_rules(dict(raw))


def at_submit(conn: Connection, run_id: RunId, user: User, wanted: Wanted) -> Held | None:
    """Ask the rules about a run that was just written, and note what is to be approved. Return how long it waits.

    Raises: ConflictError with all that is against it.
    """
    team, rules = rules_of(conn, user.team_id)
    found = permission(rules, _attempt(team, user.username, wanted, _whole(wanted.experiment)))
    if found.refusals:
        raise ConflictError("; ".join(found.refusals))
    if found.asks:
        return _ask(conn, run_id, user, _Question(wanted=wanted, rules=rules, found=found))
    return Held(until=found.opens, why=found.why_later) if found.why_later else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    wanted: Wanted
    rules: TeamRules
    found: Permission


def _ask(conn: Connection, run_id: RunId, user: User, question: _Question) -> Held:
    approvers = _approvers(conn, user, user.team_id, question.found.asks)
    names = ", ".join(rule.name for rule in question.found.asks)
    if not approvers:
        raise ConflictError(
            f"a second person must approve it ({names}), and there is nobody who may: `assay team add` adds one to the "
            "team, or `approvers` of the rule names one (`assay team chaos-rules`, with the key of the installation)"
        )
    holds = timedelta(hours=question.rules.approval_hours)
    expires_at = question.found.opens + holds
    asked = Asked(
        rules=tuple(rule.name for rule in question.found.asks),
        approvers=approvers,
        digest=digest_of(conn, question.wanted.experiment, user),
        begins_at=question.wanted.at,
        holds=holds,
        expires_at=expires_at,
    )
    chaos_approvals.ask(conn, run_id, asked)
    return Held(until=expires_at, why=waits_for(approvers, names, expires_at))


def digest_of(conn: Connection, experiment: Experiment, user: User) -> str:
    """Return what an approval of an experiment names (026.6): its load test is the newest one of that name."""
    name = experiment.load.test if experiment.load else None
    newest = definitions.newest(conn, name, user) if name else None
    return experiment_digest(experiment, newest.version if newest else "")


def waits_for(approvers: tuple[str, ...], rules: str, expires_at: datetime) -> str:
    """Return for whose approval an execution waits."""
    return f"waits until {expires_at:%Y-%m-%d %H:%M} UTC for the approval of {' or '.join(approvers)} ({rules})"


def at_step(conn: Connection, run_id: RunId, wanted: Wanted, needs: timedelta) -> Standing:
    """Ask the rules once more, as they are now, about a run that a worker holds."""
    run = runs.find(conn, run_id)
    team, rules = rules_of(conn, run.team_id)
    if rules == NO_RULES:
        return Standing(ruled=False)
    user = people.user(conn, UUID(str(run.submitted_by)))
    found = permission(rules, _attempt(team, user.username, wanted, needs))
    if found.why_later:
        return Standing(ruled=True, held=Held(until=found.opens, why=found.why_later))
    row = chaos_approvals.read(conn, run_id)
    approval = row.approval if row else None
    if row and row.approval.state is ApprovalState.WAITING and wanted.at < row.approval.expires_at and found.asks:
        why = waits_for(row.approvers, ", ".join(row.approval.rules), row.approval.expires_at)
        return Standing(ruled=True, held=Held(until=row.approval.expires_at, why=why))
    wants = Wants(
        rules=[rule.name for rule in found.asks],
        approvers=_approvers(conn, user, run.team_id, found.asks),
        digest=digest_of(conn, wanted.experiment, user),
    )
    missing = reason_against(approval, wants, wanted.at)
    by = f"{approval.by} approved {approval.digest}" if approval and found.asks else "nothing is to be approved"
    return Standing(
        ruled=True,
        against=(*found.refusals, *([missing] if missing else [])),
        closes=found.closes,
        said=by,
        most=rules.max_budget_percent,
    )


def may_decide(conn: Connection, run: Run, row: ApprovalRow) -> tuple[str, ...]:
    """Return who of those that were asked at the submit may still decide, by the rules and teams as they are now."""
    _, rules = rules_of(conn, run.team_id)
    asks = tuple(one for one in rules.rules if one.effect is Effect.APPROVE and one.name in row.approval.rules)
    may = _approvers(conn, people.user(conn, UUID(str(run.submitted_by))), run.team_id, asks)
    return tuple(name for name in row.approvers if name in may)


def closed_now(conn: Connection, run_id: RunId, wanted: Wanted) -> str | None:
    """Return why experiments of the team may not run now, by its windows and freezes alone; None if they may."""
    team, rules = rules_of(conn, runs.find(conn, run_id).team_id)
    times = TeamRules(windows=rules.windows, freezes=rules.freezes)
    found = permission(times, _attempt(team, "", wanted, timedelta()))
    return "; ".join(found.refusals) or None


def opens_at(conn: Connection, team: TeamId | None, wanted: Wanted) -> Held | None:
    """Return how long the windows of a team hold an execution that may run otherwise."""
    name, rules = rules_of(conn, team)
    if rules.outside is not Outside.HOLD:
        return None
    found = permission(rules, _attempt(name, "", wanted, _whole(wanted.experiment)))
    return Held(until=found.opens, why=found.why_later) if found.why_later else None


def _attempt(team: str, user: str, wanted: Wanted, needs: timedelta) -> Attempt:
    return Attempt(team=team, user=user, experiment=wanted.experiment, paths=wanted.paths, at=wanted.at, needs=needs)


def _whole(experiment: Experiment) -> timedelta:
    """Return how long it must be open for all that is done before the last revert."""
    return experiment.baseline + experiment.longest_fault_window


def _approvers(conn: Connection, submitter: User, team: TeamId | None, asks: tuple[TeamRule, ...]) -> tuple[str, ...]:
    """Return who may approve what these rules of a team ask about."""
    others = chaos_approvals.people(conn, submitter.user_id)
    return tuple(
        name
        for name, own in others
        if may_approve(asks, name, submitter.username, of_team=own is not None and own == team)
    )
