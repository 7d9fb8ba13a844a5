"""Runs of kind `experiment`: submit, begin, stand, queue again, end. Each change is fenced by the epoch of the grant.

submit     the experiment is written, or found; its run waits in the gate for its claims
begin      queued/admitted -> running, or found running after a takeover
stand      where it stands is written down, after each event of `chaos.experiment_states`
again      running -> queued: its targets grew, so it must wait for more claims
hold       running -> queued: it must wait for a window of time, or for an approval
end        running -> its verdict, with everything that was found; what it held is given on
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment, experiment_to_raw, stored_experiment
from chaos.judge import Judgement
from chaos.plan import claims
from chaos.price import over_its_own_limit
from chaos.targets import Resolution
from chaos.verdict import End
from db import chaos_runs, chaos_switch, clusters, experiments, people, runs
from db.chaos_runs import Findings, Kept, Standing
from db.errors import ConflictError
from db.gate import queue
from db.gate.queue import Requeue, Waiting
from db.people import User
from db.runs import Become, NewRun, RunRef
from model.execution import Phase, Reason, Status, Verdict
from model.ids import EXPERIMENTS, ExecutionId, GroupId, RunId, SuiteRunId, UserId
from model.notices import Ended
from model.problems import InvalidError, Problem
from model.request import DEFAULT_PRIORITY
from model.resources import Resources
from model.runs import RunKind
from orchestrator import chaos_permission, claiming, companions, suite_claims
from orchestrator.chaos_permission import Held, Wanted
from orchestrator.lifecycle import Grant, Superseded, fence
from orchestrator.place_releases import PlaceReleases
from orchestrator.submission import Accepted, Sender, Write

SLACK = timedelta(minutes=10)
"""What an experiment may take beside its windows: injection, revert, verification."""

_ENDINGS: Mapping[End, tuple[Status, Reason | None]] = {
    End.HALTED: (Status.FAILED, Reason.HALTED),
    End.ABORTED: (Status.CANCELLED, None),
    End.BLOCKED: (Status.FAILED, Reason.SAFETY_CHECK),
    End.INFRASTRUCTURE: (Status.FAILED, Reason.INFRASTRUCTURE),
    End.RESIDUAL: (Status.FAILED, Reason.RESIDUAL),
}
_JUDGED: Mapping[Judgement, tuple[Status, Reason | None]] = {
    Judgement.MET: (Status.COMPLETED, None),
    Judgement.NOT_MET: (Status.FAILED, Reason.HYPOTHESIS_NOT_MET),
    Judgement.INCONCLUSIVE: (Status.FAILED, Reason.INCONCLUSIVE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that is ours now, and where it stood."""

    experiment: Experiment
    kept: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """The suite run that carries an experiment, and how long its tests take at most, one after the other."""

    suite_run_id: SuiteRunId
    longest_tests: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An experiment that may be submitted. `resolution` are its targets, None if they cannot be looked at from here."""

    experiment: Experiment
    resolution: Resolution | None = None
    at: datetime | None = None
    """When it begins at the earliest, if not as the file says."""
    carrier: Carrier | None = None

    @property
    def begins(self) -> datetime | None:
        """Return when it begins at the earliest; None: as soon as the gate admits it."""
        schedule = self.experiment.schedule
        written = schedule.at if schedule else None
        return self.at or (datetime.fromisoformat(written) if written else None)

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the names that its run claims. Without targets it is the selector's; the flow claims the rest."""
        if self.resolution is None:
            return (self.experiment.target.claim,)
        return claims_of(self.experiment, self.resolution)

    @property
    def claimed(self) -> tuple[str, ...]:
        """Return what its run holds while it waits and runs. With a suite it is the whole place (028.3)."""
        return self.claims if self.carrier is None else (self.experiment.target.place,)


def claims_of(experiment: Experiment, resolution: Resolution) -> tuple[str, ...]:
    """Return what an experiment claims: its targets and their callers. The one place where claims are made."""
    return tuple(sorted(claims(experiment, resolution)))


def verdict_of(end: End, judgement: Judgement, detail: str) -> Verdict:
    """Return how a run ends whose experiment ended so. `judgement` counts only if it was judged."""
    status, reason = _JUDGED[judgement] if end is End.JUDGED else _ENDINGS[end]
    return Verdict(status=status, reason=reason, detail=detail)


def create(conn: Connection, experiment: Experiment, user_id: UserId) -> UUID:
    """Write an experiment, or find the same one of the same person. Return its id."""
    return experiments.create(conn, experiment_to_raw(experiment), people.user(conn, user_id).user_id)


def prepare(raw: object, sender: Sender) -> Write:
    """Check what was sent, and return what submits it. Raises: InvalidError with all problems."""
    wanted = Prepared(experiment=check_experiment(raw))
    return lambda conn: submit(conn, create(conn, wanted.experiment, sender.user_id), wanted, sender)


def submit(conn: Connection, experiment_id: UUID, wanted: Prepared, sender: Sender) -> Accepted:
    """Write a run of an experiment that waits for the gate. The same id again changes nothing.

    Raises: ConflictError while all experiments are stopped, and with all that the rules of the team have against it;
    InvalidError if it costs more than it allows itself, and if what is to run beside it cannot.
    """
    if (stopped := chaos_switch.stopped(conn)) is not None:
        raise ConflictError(f"{stopped.sentence}; `assay chaos resume` allows them again")
    user = people.user(conn, sender.user_id)
    new = NewRun(
        id=sender.run_id,
        kind=RunKind.EXPERIMENT,
        priority=DEFAULT_PRIORITY,
        door=sender.door,
        pool=sender.pool,
        submitted_by=user.user_id,
        team_id=user.team_id,
        submitted_at=sender.now,
        flow_run_id=sender.flow_run_id,
        parent_id=wanted.carrier.suite_run_id if wanted.carrier else None,
    )
    written = runs.insert(conn, new)
    if written:
        _costs_what_it_allows(wanted.experiment)
        _knows_its_cluster(conn, wanted.experiment)
        companions.check(conn, wanted.experiment, user)
        chaos_runs.insert_run(conn, sender.run_id, experiment_id)
        queue.enqueue(conn, _waiting(conn, new, wanted))
        if (held := _held(conn, wanted, user, sender)) is not None:
            queue.hold_until(conn, ExecutionId(new.id), held.until, held.why)
    return Accepted(run=RunRef(id=sender.run_id, kind=RunKind.EXPERIMENT), pool=sender.pool, new=written)


def _knows_its_cluster(conn: Connection, experiment: Experiment) -> None:
    """Refuse a cluster that nobody has added: no worker could ever serve it."""
    name, known = experiment.target.cluster, [row.name for row in clusters.read(conn)]
    if name is not None and name not in known:
        message = f"{name} is not known: `assay cluster add` adds it; known are {', '.join(known) or 'none'}"
        raise InvalidError([Problem(path="target.cluster", message=message)])


def _costs_what_it_allows(experiment: Experiment) -> None:
    if over := over_its_own_limit(experiment):
        raise InvalidError(Problem(path="errorBudget.maxPercent", message=message) for message in over)


def _held(conn: Connection, wanted: Prepared, user: User, sender: Sender) -> Held | None:
    """Return how long a run that was just written waits, before the gate looks at it. Raises: ConflictError."""
    later = wanted.begins if wanted.begins is not None and wanted.begins > sender.now else None
    asked = Wanted(experiment=wanted.experiment, paths=wanted.claims, at=later or sender.now)
    if (held := chaos_permission.at_submit(conn, sender.run_id, user, asked)) is not None or later is None:
        return held
    return Held(until=later, why=f"is scheduled for {later.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


def _waiting(conn: Connection, new: NewRun, wanted: Prepared) -> Waiting:
    experiment, carrier = wanted.experiment, wanted.carrier
    windows = experiment.baseline + experiment.longest_fault_window + experiment.recovery + SLACK
    return Waiting(
        execution_id=ExecutionId(new.id),
        pool=new.pool,
        priority=new.priority,
        enqueued_at=new.submitted_at,
        user_id=new.submitted_by,
        team_id=new.team_id,
        resources=Resources(),
        backend=EXPERIMENTS,
        exclusive=claiming.of_experiment(conn, wanted.claimed, new.id, new.team_id),
        group=GroupId(carrier.suite_run_id) if carrier else None,
        limit=windows + carrier.longest_tests if carrier else windows,
    )


def retry(conn: Connection, run_id: RunId, sender: Sender) -> Accepted:
    """Run the experiment of an ended run once more. Raises: ConflictError while it is alive, or all are stopped."""
    if not runs.find(conn, run_id).status.terminal:
        raise ConflictError("the run has not ended; `assay chaos abort` ends it")
    experiment_id = chaos_runs.experiment_of(conn, run_id)
    return submit(conn, experiment_id, Prepared(experiment=read(conn, experiment_id)), sender)


def read(conn: Connection, experiment_id: UUID) -> Experiment:
    """Return an experiment that was written before. Raises: NotFoundError."""
    return check_experiment(dict(experiments.find(conn, experiment_id).definition))


def begin(conn: Connection, grant: Grant) -> Begun | Superseded:
    """Let an admitted run run, or find it running, and read where it stands."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status.terminal:
        return Superseded()
    if row.status is Status.QUEUED:
        runs.transition(conn, fence(grant), Status.QUEUED, Become(status=Status.RUNNING, phase=Phase.RUNNING))
    kept = chaos_runs.read(conn, grant.execution_id)
    return Begun(experiment=stored_experiment(dict(kept.experiment)), kept=kept)


def stand(conn: Connection, grant: Grant, standing: Standing) -> bool:
    """Write down where a run stands. False if the caller does not hold it any more."""
    return chaos_runs.save(conn, fence(grant), standing)


def again(conn: Connection, grant: Grant, claimed: tuple[str, ...]) -> bool:
    """Let a run wait in the gate once more, in its old place, for these claims. False if it is not ours any more."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return False
    claims_with_unknown = claiming.of_experiment(conn, claimed, row.id, row.team_id)
    become = Become(status=Status.QUEUED, phase=Phase.WAITING)
    if not runs.transition(conn, fence(grant), Status.RUNNING, become):
        return False
    return queue.requeue(conn, grant.execution_id, grant.epoch, Requeue(exclusive=claims_with_unknown))


def hold(conn: Connection, grant: Grant, held: Held) -> bool:
    """Let a run wait in the gate once more, not before a moment. False if it is not ours any more."""
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return False
    become = Become(status=Status.QUEUED, phase=Phase.WAITING)
    if not runs.transition(conn, fence(grant), Status.RUNNING, become):
        return False
    if not queue.requeue(conn, grant.execution_id, grant.epoch, Requeue()):
        return False
    queue.hold_until(conn, grant.execution_id, held.until, held.why)
    return True


def end(conn: Connection, grant: Grant, verdict: Verdict, findings: Findings) -> Verdict | Superseded:
    """End a running run with its verdict and what was found, and give on what it held.

    The tests of its suite that have not ended keep its place, each for itself (028.11).
    """
    suite_claims.hold_passes(conn, grant.execution_id)
    row = runs.lock(conn, grant.execution_id, grant.epoch)
    if row is None or row.status is not Status.RUNNING:
        return Superseded()
    chaos_runs.finish(conn, grant.execution_id, findings)
    become = Become(status=verdict.status, phase=Phase.ENDED, reason=verdict.reason, detail=verdict.detail)
    runs.transition(conn, fence(grant), Status.RUNNING, become)
    suite_claims.give_on(conn, row, read(conn, chaos_runs.experiment_of(conn, row.id)).target.place)
    releases = PlaceReleases()
    ended = Ended(run_id=row.id, kind=row.kind, status=verdict.status, reason=verdict.reason)
    releases.add(grant.execution_id, grant.epoch, ended)
    releases.carry_out(conn)
    return verdict


def title(conn: Connection, run_id: RunId) -> str:
    """Return the name of the experiment of a run."""
    return experiments.find(conn, chaos_runs.experiment_of(conn, run_id)).name
