"""The safety checks of an experiment: asks each connection, and keeps everything that was seen in a decision record.

Fail closed: what is not connected, does not answer in time, or refuses the question is unreachable, and blocks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from chaos.experiment_states import Step
from chaos.hypothesis import Slo, SloKind, Source
from chaos.safety import (
    CHECK_PATIENCE,
    Answer,
    CheckRecord,
    DecisionRecord,
    Observation,
    Outcome,
    SafetyCheck,
    decide,
)
from cluster.fault_providers import PlaceError
from cluster.observation.errors import ObservationError
from cluster.observation.webhook import Question
from db import chaos_switch
from db.chaos_connections import ConnectionKind
from flows.experiment.connections import Connections, connections_of
from flows.experiment.run import ExperimentRun
from model.ports import SecretError
from orchestrator import chaos_permission
from orchestrator.chaos_permission import Standing, Wanted
from orchestrator.experiments import claims_of

ENTRY_POINTS = "assay.safety_checks"
"""The group of registered checks. Each is `async def check(question: Question) -> str | None`: None, or why not."""

CAUSED = frozenset({"activeIncidents", "systemHealth"})
"""Checks that the fault itself may fail."""

Registered: TypeAlias = Callable[[Question], Awaitable[str | None]]


class NotAskedError(Exception):
    """A check cannot be asked: its connection is missing, or of the wrong kind. The operator connects it."""


async def reasons_against(run: ExperimentRun, step: str, standing: Standing) -> tuple[str, ...]:
    """Make all safety checks, note the decision, and return what blocks: nothing, if the experiment may go on.

    `standing` is what the rules of its team say.
    """
    stopped = await run.context.db.run_patiently(chaos_switch.stopped)
    run.window_closes, run.budget_allowed = standing.closes, standing.most
    decision = _with_rules(await _decided(run, step), standing)
    run.decisions = (*run.decisions, decision)
    return (*([stopped.sentence] if stopped else []), *decision.reasons)


async def rules_say(run: ExperimentRun, step: str) -> Standing:
    """Ask the rules of the team, as they are now."""
    experiment = run.experiment
    paths = claims_of(experiment, run.resolution) if run.resolution else (experiment.target.claim,)
    wanted = Wanted(experiment=experiment, paths=paths, at=run.context.now())
    faults = experiment.longest_fault_window
    needs = faults if step == Step.RECHECK else experiment.baseline + faults
    return await run.context.db.run_patiently(
        lambda conn: chaos_permission.at_step(conn, run.grant.execution_id, wanted, needs)
    )


async def closed_now(run: ExperimentRun) -> tuple[str, ...]:
    """Return why experiments of its team may not run any more, as the windows and freezes are now."""
    wanted = Wanted(experiment=run.experiment, paths=(), at=run.context.now())
    reason = await run.context.db.run_patiently(
        lambda conn: chaos_permission.closed_now(conn, run.grant.execution_id, wanted)
    )
    return () if reason is None else (reason,)


def _with_rules(decision: DecisionRecord, standing: Standing) -> DecisionRecord:
    """Return a decision with a line about the rules of the team. What would have to wait blocks here."""
    if not standing.ruled:
        return decision
    against = (*standing.against, *([standing.held.why] if standing.held else []))
    outcome = Outcome.BLOCKED if against else Outcome.PASSED
    sentence = "; ".join(against) or standing.said
    line = CheckRecord(check="teamRules", outcome=outcome, sentence=sentence, observation=None)
    return replace(decision, lines=(line, *decision.lines))


async def reasons_to_stop(run: ExperimentRun) -> tuple[str, ...]:
    """Ask again while a fault is active. A decision is noted only if it blocks.

    Open incidents and the SLOs are not asked for: the fault itself may be their cause, and limits watch them.
    """
    decision = await _decided(run, Step.OBSERVE, left_out=CAUSED)
    if not decision.allowed:
        run.decisions = (*run.decisions, decision)
    return decision.reasons


async def _decided(run: ExperimentRun, step: str, left_out: frozenset[str] = frozenset()) -> DecisionRecord:
    """Ask all checks at once."""
    checks = tuple(check for check in run.experiment.safety_checks if check.name not in left_out)
    connections = await connections_of(run)
    asked = [_observed(run, check, connections, step) for check in checks if check.none is None]
    return decide(checks, tuple(await asyncio.gather(*asked)), run.context.now(), step)


async def _observed(run: ExperimentRun, check: SafetyCheck, connections: Connections, step: str) -> Observation:
    asked_at = run.context.now()
    try:
        async with asyncio.timeout(CHECK_PATIENCE.total_seconds()):
            against = await _ask(run, check, connections, step)
    except TimeoutError:
        return _unreachable(run, check, asked_at, f"no answer within {CHECK_PATIENCE.total_seconds():g} s")
    except (ObservationError, NotAskedError, SecretError, PlaceError) as error:
        return _unreachable(run, check, asked_at, str(error))
    except Exception as error:  # noqa: BLE001  a registered check is foreign code; whatever it raises, it blocks
        return _unreachable(run, check, asked_at, f"{type(error).__name__}: {error}")
    now = run.context.now()
    return Observation(
        check=check.name,
        answer=Answer.SAFE if against is None else Answer.UNSAFE,
        sentence=against or "nothing is against it",
        asked_at=asked_at,
        took=now - asked_at,
        known_at=asked_at,
    )


def _unreachable(run: ExperimentRun, check: SafetyCheck, asked_at: datetime, why: str) -> Observation:
    return Observation(
        check=check.name,
        answer=Answer.UNREACHABLE,
        sentence=why,
        asked_at=asked_at,
        took=run.context.now() - asked_at,
        known_at=None,
    )


async def _ask(run: ExperimentRun, check: SafetyCheck, connections: Connections, step: str) -> str | None:
    """Return what is against the experiment, None if nothing is. Raises: ObservationError, NotAskedError."""
    question = Question(
        experiment=run.experiment.name,
        execution=str(run.grant.execution_id),
        step=step,
        services=sorted({target.service for target in run.resolution.targets}) if run.resolution else [],
    )
    if check.connection is None:
        return await _registered(check)(question)
    row = connections.rows.get(check.connection)
    if row is None and check.name == "recentDeployments" and check.connection == run.experiment.target.cluster:
        return await _deployed(run, check)
    if row is None:
        raise NotAskedError(f"there is no connection {check.connection}: `assay chaos connect` makes one")
    match row.kind:
        case ConnectionKind.WEBHOOK:
            return await connections.webhook(row.name).ask(question, run.context.now())
        case ConnectionKind.INCIDENTS:
            return await _incidents(check, connections)
        case ConnectionKind.PROMETHEUS:
            return await _slos_hold(run, check, connections)
        case ConnectionKind.ALERTMANAGER:
            raise NotAskedError("an Alertmanager is told about experiments, and is not asked: connect another service")


def _registered(check: SafetyCheck) -> Registered:
    found = registered_checks().get(check.name)
    if found is None:
        raise NotAskedError(f"no package registers a check of this name (entry point {ENTRY_POINTS})")
    return found


@cache
def registered_checks() -> Mapping[str, Registered]:
    """Return the checks that installed packages register, by name. They are code that the operator installed."""
    return {one.name: one.load() for one in entry_points(group=ENTRY_POINTS)}


async def _deployed(run: ExperimentRun, check: SafetyCheck) -> str | None:
    """Ask the cluster of the targets what was deployed lately."""
    since = run.context.now() - check.within
    return "; ".join(await run.place.deployed_since(str(run.experiment.target.namespace), since)) or None


async def _incidents(check: SafetyCheck, connections: Connections) -> str | None:
    """Ask the incident service: what is open, or who is on call."""
    name = str(check.connection)
    options: Mapping[str, Any] = connections.rows[name].options
    service = connections.incidents(name)
    if check.name == "onCall":
        people = await service.on_call([str(one) for one in options.get("policies", ())])
        return None if people else "nobody is on call"
    if check.name != "activeIncidents":
        raise NotAskedError(f"an incident service cannot answer {check.name}: connect a Prometheus or a webhook")
    found = await service.open_incidents([str(one) for one in options.get("services", ())])
    return "; ".join(f"{one.status}: {one.title}" for one in found) or None


async def _slos_hold(run: ExperimentRun, check: SafetyCheck, connections: Connections) -> str | None:
    """Ask a Prometheus whether the SLOs of the experiment hold now."""
    if check.name != "systemHealth":
        raise NotAskedError(f"a Prometheus cannot answer {check.name}: connect an incident service or a webhook")
    source = connections.metrics(str(check.connection))
    slos = [slo for slo in run.experiment.hypothesis.slos if slo.source is Source.PROMETHEUS]
    if not slos:
        raise NotAskedError("the experiment has no SLO of a Prometheus, so its health is not known")
    against = []
    for slo in slos:
        if slo.kind is SloKind.VALUE:
            held = await source.value(str(slo.query)) is not None
            against += [] if held else [f"{slo.name} has no value"]
            continue
        bad, total = await source.value(str(slo.bad)), await source.value(str(slo.total))
        against += _missed(slo, bad.value if bad else None, total.value if total else None)
    return "; ".join(against) or None


def _missed(slo: Slo, bad: float | None, total: float | None) -> list[str]:
    if bad is None or not total:
        return [f"{slo.name} has no requests"]
    share, objective = 100 * (1 - bad / total), slo.objective or 0.0
    return [] if share >= objective else [f"{slo.name} is at {share:.3g}%, and its objective is {objective:g}%"]
