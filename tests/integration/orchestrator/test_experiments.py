"""Runs of experiments in the database: submit, queue again for more claims, stand, end. Each change is fenced."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from secrets import token_bytes

import pytest

from chaos.error_budget import ErrorBudget
from chaos.experiment import Order
from chaos.experiment_reading import experiment_from_yaml
from chaos.experiment_states import start
from chaos.graph import from_depends_on
from chaos.judge import Judgement
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Candidate, Resolution, Target, resolve
from chaos.verdict import ENDED, JUDGED, ChaosStatus, End
from db import chaos_faults, chaos_runs, chaos_switch, clusters, experiments, runs, workers
from db.chaos_faults import NewFault
from db.chaos_runs import Findings, Metric, Standing
from db.clusters import ClusterRow
from db.engine import Database
from db.errors import ConflictError, NotFoundError
from db.page import FIRST_PAGE
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.claims import MARK, UNKNOWN
from model.execution import Door, Status
from model.fault import consequence_of
from model.ids import EXPERIMENTS, RunId, UserId, WorkerId, uuid7
from model.problems import InvalidError
from orchestrator import admission, kinds
from orchestrator import experiments as cases
from orchestrator.experiments import Begun, Prepared
from orchestrator.kinds import Wish
from orchestrator.lifecycle import Grant, Superseded
from orchestrator.submission import Sender

EXAMPLES = Path(__file__).parents[3] / "examples" / "chaos"
EXPERIMENT = experiment_from_yaml((EXAMPLES / "payments-slow.yaml").read_text(encoding="utf-8"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sender(**more: object) -> Sender:
    run_id = RunId(uuid7(NOON, Random(token_bytes(8))))
    return Sender(run_id=run_id, user_id=UserId(LOCAL_USER), door=Door.REST, now=NOON, **more)  # type: ignore[arg-type]


def resolution(*callers: str) -> Resolution:
    target = Target(place="shop", service="payments", name="payments", identity="boot:1:1")
    graph = from_depends_on({"payments": (), **dict.fromkeys(callers, ("payments",))})
    return resolve(EXPERIMENT, [Candidate(target=target, opted_in=True)], graph)


def submitted(db: Database, seen: Resolution | None = None) -> RunId:
    sent = sender()
    wanted = Prepared(experiment=EXPERIMENT, resolution=seen)
    db.call(lambda conn: cases.submit(conn, cases.create(conn, EXPERIMENT, sent.user_id), wanted, sent))
    return sent.run_id


def claims(db: Database, run_id: RunId) -> tuple[str, ...]:
    """Return what a run has to itself, without the entries by which others see that (022)."""
    found = db.call(lambda conn: chaos_runs.read(conn, run_id)).claims
    return tuple(one for one in found if MARK not in one and not one.startswith(UNKNOWN))


def admitted(db: Database) -> Grant:
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [EXPERIMENTS]))
    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))
    assert made is not None
    [one] = made.admitted
    return Grant(execution_id=one.execution_id, epoch=one.epoch, node=one.node)


def begun(db: Database) -> Grant:
    grant = admitted(db)
    assert isinstance(db.call(lambda conn: cases.begin(conn, grant)), Begun)
    return grant


def standing() -> Standing:
    state, _ = start(1, Order.PARALLEL)
    return Standing(state=state, resolution=resolution("orders"), decisions=(), phases=(), progress={"step": "x"})


def findings(end: End, *, validated: bool | None) -> Findings:
    metric = Metric(name="orders placed", baseline=0.0, fault=12.5, recovery=None)
    return Findings(ending=end, validated=validated, metrics=(metric,), journal={"a": 1}, report="<html>")


def test_what_costs_more_than_it_allows_itself_is_refused_before_anybody_looks_for_its_targets(db: Database) -> None:
    dear, sent = replace(EXPERIMENT, error_budget=ErrorBudget(max_percent=0.001)), sender()
    wanted = Prepared(experiment=dear)

    with pytest.raises(InvalidError) as refused:
        db.call(lambda conn: cases.submit(conn, cases.create(conn, dear, sent.user_id), wanted, sent))

    [problem] = refused.value.problems
    assert problem.path == "errorBudget.maxPercent"
    assert "of orders placed (30 days), and errorBudget.maxPercent allows 0.001%" in problem.message
    with pytest.raises(NotFoundError):
        db.call(lambda conn: runs.find(conn, sent.run_id))


def test_a_cluster_that_nobody_has_added_is_refused_and_nothing_is_written(db: Database) -> None:
    """It was submitted, waited, and ended as infrastructure, which CI tries again."""
    elsewhere = experiment_from_yaml((EXAMPLES / "pod-stays-down.yaml").read_text(encoding="utf-8"))
    sent = sender()

    with pytest.raises(InvalidError) as refused:
        db.call(
            lambda conn: cases.submit(
                conn, cases.create(conn, elsewhere, sent.user_id), Prepared(experiment=elsewhere), sent
            )
        )

    [problem] = refused.value.problems
    assert problem.path == "target.cluster"
    assert "`assay cluster add`" in problem.message
    with pytest.raises(NotFoundError):
        db.call(lambda conn: runs.find(conn, sent.run_id))

    cluster = ClusterRow(name=str(elsewhere.target.cluster), namespace="tests", image="python:3.12")
    db.call(lambda conn: clusters.put(conn, cluster))
    accepted = db.call(
        lambda conn: cases.submit(
            conn, cases.create(conn, elsewhere, sent.user_id), Prepared(experiment=elsewhere), sent
        )
    )
    assert accepted.new


def test_an_experiment_claims_its_targets_and_their_callers_else_what_its_selector_names(db: Database) -> None:
    with_targets, without = submitted(db, resolution("orders")), submitted(db)

    assert claims(db, with_targets) == ("local/shop/orders", "local/shop/payments")
    assert claims(db, without) == ("local/shop/payments",)


def test_the_same_experiment_of_a_person_is_found_again(db: Database) -> None:
    first, second = submitted(db), submitted(db)

    rows, total = db.call(lambda conn: experiments.listed(conn, FIRST_PAGE))
    found, _ = db.call(lambda conn: experiments.executions(conn, None, rows[0].experiment_id, FIRST_PAGE))
    assert total == 1
    assert {one.execution_id for one in found} == {first, second}
    assert {one.status for one in found} == {ChaosStatus.SCHEDULED}


def test_one_that_needs_more_claims_waits_again_and_is_admitted_with_them(db: Database) -> None:
    run_id = submitted(db)
    grant = begun(db)
    needed = cases.claims_of(EXPERIMENT, resolution("orders"))

    assert db.call(lambda conn: cases.again(conn, grant, needed))

    assert db.call(lambda conn: runs.find(conn, run_id)).status is Status.QUEUED
    assert claims(db, run_id) == needed
    assert isinstance(db.call(lambda conn: cases.begin(conn, begun(db))), Begun)


def test_only_the_holder_writes_where_it_stands_and_how_it_ends(db: Database) -> None:
    run_id = submitted(db)
    grant = begun(db)
    late = Grant(execution_id=grant.execution_id, epoch=grant.epoch - 1, node=grant.node)
    verdict = cases.verdict_of(End.JUDGED, Judgement.NOT_MET, "worse")
    found = findings(End.JUDGED, validated=False)

    assert not db.call(lambda conn: cases.stand(conn, late, standing()))
    assert db.call(lambda conn: cases.stand(conn, grant, standing()))
    assert isinstance(db.call(lambda conn: cases.end(conn, late, verdict, found)), Superseded)
    assert db.call(lambda conn: cases.end(conn, grant, verdict, found)) == verdict
    assert not db.call(lambda conn: cases.stand(conn, grant, standing())), "an end is final"

    row = db.call(lambda conn: experiments.execution(conn, run_id))
    assert (row.status, row.ending, row.validated, row.reason) == (ChaosStatus.COMPLETED, "judged", False, "worse")
    assert db.call(lambda conn: chaos_runs.read(conn, run_id)).state == standing().state
    assert db.call(lambda conn: chaos_runs.report(conn, run_id)) == "<html>"


@pytest.mark.parametrize(
    ("end", "judgement"),
    [(End.JUDGED, one) for one in Judgement] + [(end, Judgement.INCONCLUSIVE) for end in ENDED],
)
def test_run_view_and_table_say_the_same_of_each_ending(db: Database, end: End, judgement: Judgement) -> None:
    """`model.fault` has the exit codes of runs, `chaos.verdict` those of experiments: they are one table."""
    run_id = submitted(db)
    grant = begun(db)
    wanted = JUDGED[judgement] if end is End.JUDGED else ENDED[end]
    verdict = cases.verdict_of(end, judgement, "why")
    db.call(lambda conn: cases.end(conn, grant, verdict, findings(end, validated=wanted.validated)))

    row = db.call(lambda conn: experiments.execution(conn, run_id))
    follows = consequence_of(verdict)
    assert (row.status, row.validated) == (wanted.status, wanted.validated)
    assert (follows.exit_code, follows.prefect.type.upper()) == (wanted.exit_code, wanted.prefect_state)
    assert follows.prefect.shown == wanted.prefect_name


def test_one_that_is_aborted_while_it_waits_is_aborted(db: Database) -> None:
    run_id = submitted(db)
    ref = db.call(lambda conn: runs.resolve_any(conn, str(run_id)))

    db.call(lambda conn: kinds.cancel_run(conn, ref, Wish(by="ann", now=NOON)))

    assert db.call(lambda conn: experiments.execution(conn, run_id)).status is ChaosStatus.ABORTED


def test_while_all_are_stopped_none_is_accepted(db: Database) -> None:
    db.call(lambda conn: chaos_switch.stop(conn, "an incident", "ann"))
    db.call(lambda conn: chaos_switch.stop(conn, "another reason", "bob"))

    with pytest.raises(ConflictError, match=r"ann stopped all experiments .*: an incident"):
        submitted(db)

    assert db.call(lambda conn: chaos_switch.resume(conn, "ann"))
    assert not db.call(lambda conn: chaos_switch.resume(conn, "ann"))
    assert submitted(db)


def test_an_ended_one_is_run_again_and_a_living_one_is_not(db: Database) -> None:
    run_id = submitted(db)
    with pytest.raises(ConflictError, match="has not ended"):
        db.call(lambda conn: cases.retry(conn, run_id, sender()))
    grant = begun(db)
    verdict = cases.verdict_of(End.ABORTED, Judgement.INCONCLUSIVE, "ann")
    db.call(lambda conn: cases.end(conn, grant, verdict, findings(End.ABORTED, validated=None)))

    again = db.call(lambda conn: cases.retry(conn, run_id, sender()))

    assert db.call(lambda conn: experiments.execution(conn, again.run.id)).name == EXPERIMENT.name


def test_faults_are_forgotten_when_they_expired_or_their_run_has_ended(db: Database) -> None:
    run_id = submitted(db)
    grant = begun(db)
    [target] = resolution().targets

    def new(name: str, seconds: float) -> NewFault:
        return NewFault(
            fault_id=FaultId(name),
            execution_id=run_id,
            number=0,
            name="slow",
            type="network-latency",
            target=target,
            expires_after=timedelta(seconds=seconds),
        )

    db.call(lambda conn: chaos_faults.write_down(conn, [new("expired", -1), new("young", 600)]))
    db.call(lambda conn: chaos_faults.write_down(conn, [new("young", 1)]))
    before = [row.fault_id for row in db.call(chaos_faults.forgotten)]
    verdict = cases.verdict_of(End.INFRASTRUCTURE, Judgement.INCONCLUSIVE, "lost")
    db.call(lambda conn: cases.end(conn, grant, verdict, findings(End.INFRASTRUCTURE, validated=None)))
    after = db.call(chaos_faults.forgotten)

    assert before == ["expired"]
    assert [row.fault_id for row in after] == ["expired", "young"]
    assert {row.status for row in after} == {FaultStatus.PENDING}


def test_a_scheduled_one_is_not_admitted_before_its_time(db: Database) -> None:
    sent = sender()
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251  the gate goes by the clock of the database
    wanted = Prepared(experiment=EXPERIMENT, at=later)
    db.call(lambda conn: cases.submit(conn, cases.create(conn, EXPERIMENT, sent.user_id), wanted, sent))
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [EXPERIMENTS]))

    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))

    assert made is not None
    assert made.admitted == ()
