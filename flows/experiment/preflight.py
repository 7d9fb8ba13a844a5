"""The preflight of an experiment: signed webhooks that must agree, right before the first fault. All else blocks."""

import asyncio

from chaos.preflight import STEP, Preflight, preflight_body
from chaos.safety import CheckRecord, DecisionRecord, Outcome
from chaos.targets import Resolution
from cluster.observation.errors import ObservationError
from cluster.observation.webhook import Message
from db import people, runs
from db.chaos_connections import ConnectionKind
from flows.experiment.connections import Connections, connections_of
from flows.experiment.run import ExperimentRun
from model.ports import SecretError
from orchestrator import chaos_permission
from orchestrator.experiments import claims_of


async def preflight(run: ExperimentRun, resolution: Resolution) -> tuple[str, ...]:
    """Ask all preflight webhooks of the experiment and of its team. Return what blocks: nothing, if all agree."""
    names, told = await _prepared(run, resolution)
    if not names:
        return ()
    connections = await connections_of(run)
    lines = await asyncio.gather(*(_asked(connections, name, told) for name in names))
    decision = DecisionRecord(at=run.context.now(), step=STEP, lines=tuple(lines))
    run.decisions = (*run.decisions, decision)
    return decision.reasons


async def _prepared(run: ExperimentRun, resolution: Resolution) -> tuple[list[str], Preflight]:
    row = await run.context.db.run_patiently(lambda conn: runs.find(conn, run.grant.execution_id))
    user = await run.context.db.run_patiently(lambda conn: people.user(conn, row.submitted_by))
    team, rules = await run.context.db.run_patiently(lambda conn: chaos_permission.rules_of(conn, row.team_id))
    digest = await run.context.db.run_patiently(lambda conn: chaos_permission.digest_of(conn, run.experiment, user))
    told = Preflight(
        execution_id=str(run.grant.execution_id),
        experiment=run.experiment,
        digest=digest,
        resolution=resolution,
        claims=claims_of(run.experiment, resolution),
        submitted_by=user.username,
        team=team or None,
        decision=run.decisions[-1],
        at=run.context.now(),
    )
    return sorted({*run.experiment.preflight, *rules.preflight}), told


async def _asked(connections: Connections, name: str, told: Preflight) -> CheckRecord:
    against = await _against(connections, name, told)
    outcome = Outcome.PASSED if against is None else Outcome.BLOCKED
    sentence = against or "it agreed to the signed message"
    return CheckRecord(check=f"{STEP} {name}", outcome=outcome, sentence=sentence, observation=None)


async def _against(connections: Connections, name: str, told: Preflight) -> str | None:
    row = connections.rows.get(name)
    if row is None or row.kind is not ConnectionKind.WEBHOOK:
        return f"there is no webhook {name}: `assay chaos connect {name} --kind webhook --signing-secret env:NAME`"
    message = Message(id=told.id, at=told.at, body=preflight_body(told))
    try:
        return await connections.webhook(name).ask_signed(message)
    except (ObservationError, SecretError) as error:
        return str(error)
