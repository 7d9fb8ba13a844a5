"""What was said to a run outlives its row of the queue: one record for each thing that changed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from db import decisions
from db.gate import decision_records, pass_input, queue
from db.gate.decision_records import Pass, Returned, Started, Waited, Withdrawn
from db.gate.queue import Requeue
from db.seeds import DEFAULT_POOL
from model.execution import Cause
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code


def annotate_again(gate_db: Any) -> None:
    """Let the next pass be one that writes all positions, as one in a second is."""
    gate_db.sql("UPDATE pools SET annotated_at = NULL")


def test_an_admission_keeps_every_score_term_of_its_candidates(gate_db: Any) -> None:
    gate_db.node("n1", cpu=1000)
    [run] = gate_db.submit()
    gate_db.run_pass()
    [record] = gate_db.said(run)

    assert isinstance(record, Started)
    assert record.node == record.candidates[0].node
    assert {score.node for score in record.candidates} == {"n0", "n1"}
    assert all(0 <= getattr(score, term) <= 1 for score in record.candidates for term in ("total", "free", "balance"))
    assert (record.by.strategy, record.priority, record.share) == (Strategy.PRIORITY, 5, None)
    assert 0 <= record.waited < 120


def test_a_record_names_the_version_of_the_nodes_that_the_pass_saw(gate_db: Any) -> None:
    first, second = gate_db.submit(1), gate_db.submit(1)
    gate_db.pool(max_concurrent_tests=1)
    gate_db.run_pass()
    [version] = [row.version for row in gate_db.sql("SELECT version FROM node_snapshots")]
    gate_db.node("n1")
    gate_db.do(lambda conn: queue.release(conn, first[0], 1))
    gate_db.run_pass()
    [later] = [row.version for row in gate_db.sql("SELECT version FROM node_snapshots")]

    assert gate_db.said(first[0])[-1].by.snapshot == version
    assert gate_db.said(second[0])[-1].by.snapshot == later > version


def test_a_wait_tells_the_rule_its_numbers_and_who_is_ahead(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit()
    gate_db.run_pass()
    urgent, plain, idle = gate_db.submit(1, priority=1), gate_db.submit(1), gate_db.submit(1, priority=9)
    annotate_again(gate_db)
    gate_db.run_pass()
    [record] = gate_db.said(plain[0])
    ahead = [[other.execution_id for other in gate_db.said(run)[0].ahead] for run in (urgent[0], plain[0], idle[0])]

    assert ahead == [[], urgent, [*urgent, *plain]]
    assert isinstance(record, Waited)
    assert (record.code, record.text, record.position) == (Code.POOL_LIMIT, "the pool runs 1 of 1", 2)
    assert [(other.execution_id, other.priority) for other in record.ahead] == [(urgent[0], 1)]


def test_numbers_that_move_make_no_record(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=2)
    first, second, third = gate_db.submit(3)
    gate_db.run_pass()
    gate_db.do(lambda conn: queue.release(conn, first, 1))
    gate_db.do(lambda conn: queue.release(conn, second, 1))
    gate_db.pool(max_concurrent_tests=0)
    gate_db.run_pass()

    assert gate_db.row(third).reason == "the pool runs 0 of 0"
    assert [record.text for record in gate_db.said(third)] == ["the pool runs 2 of 2"]


def test_another_rule_makes_another_record_and_the_first_one_stays(gate_db: Any) -> None:
    team = gate_db.team("red", most=1)
    ann = gate_db.person("ann", most=9, team=team)
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit()
    gate_db.run_pass()
    _, waiting = gate_db.submit(2, who=ann)
    gate_db.run_pass()
    gate_db.pool(max_concurrent_tests=5)
    gate_db.run_pass()
    gate_db.sql("UPDATE teams SET quota = '{\"max_concurrent_tests\": 5}' WHERE team_id = :id", id=team)
    gate_db.run_pass()
    records = gate_db.said(waiting)

    assert [record.kind for record in records] == ["waiting", "waiting", "admitted"]
    assert [record.code for record in records[:2]] == [Code.POOL_LIMIT, Code.TEAM_LIMIT]
    assert records[0].text == "the pool runs 1 of 1"


def test_the_way_back_is_recorded_with_its_cause(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()

    gate_db.do(lambda conn: queue.requeue(conn, run, 1, Requeue(delay=timedelta(hours=1), cause=Cause.RETRY)))
    back = gate_db.said(run)[-1]

    assert isinstance(back, Returned)
    assert back.cause is Cause.RETRY
    assert back.text.startswith("in backoff until ")


def test_a_place_that_nobody_took_up_is_told_to_its_owner(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()
    gate_db.sql("UPDATE queue SET admitted_at = admitted_at - interval '61 s'")
    gate_db.run_pass()

    assert [record.kind for record in gate_db.said(run)] == ["admitted", "requeued", "admitted"]
    assert gate_db.said(run)[1] == Returned(text="no worker took it up in time, so its place went to others")


@pytest.mark.parametrize("places", [0, 1])
def test_a_cancelled_run_keeps_its_records(gate_db: Any, places: int) -> None:
    gate_db.pool(max_concurrent_tests=places)
    [run] = gate_db.submit()
    gate_db.run_pass()

    gate_db.do(lambda conn: queue.withdraw(conn, run))

    assert gate_db.row(run) is None
    assert [record.kind for record in gate_db.said(run)] == ["admitted" if places else "waiting", "cancelled"]
    assert gate_db.said(run)[-1] == Withdrawn()


def test_the_records_go_with_their_execution(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.run_pass()
    gate_db.sql("DELETE FROM runs WHERE id = :id", id=run)

    assert gate_db.said(run) == []


def test_a_record_comes_back_from_its_json_as_it_was(gate_db: Any) -> None:
    [run] = gate_db.submit(cpu=9000)
    gate_db.run_pass()
    [record] = gate_db.said(run)

    assert decision_records.to_json(record) == decision_records.to_json(
        Waited(
            by=Pass(strategy=Strategy.PRIORITY, snapshot=record.by.snapshot),
            code=Code.TOO_LARGE,
            text="needs 9000m CPU; the largest node has 4000m CPU",
            position=1,
            priority=5,
        )
    )
    with pytest.raises(ValueError, match="kind"):
        decision_records.from_json({"kind": "unknown"})


def test_a_pass_with_nothing_new_to_say_writes_no_row(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=0)
    [run] = gate_db.submit()
    gate_db.run_pass()
    before = gate_db.sql("SELECT xmin, ctid FROM queue WHERE execution_id = :id", id=run)
    annotate_again(gate_db)
    gate_db.run_pass()

    assert gate_db.sql("SELECT xmin, ctid FROM queue WHERE execution_id = :id", id=run) == before
    assert gate_db.sql("SELECT 1 FROM pools WHERE name = :pool AND annotated_at IS NOT NULL", pool=DEFAULT_POOL)


def test_a_full_pool_hides_no_reason_that_lasts_from_pass_to_pass(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit()
    gate_db.run_pass()
    [nowhere], [large], [plain] = (
        gate_db.submit(node_selector={"disk": "nvme"}),
        gate_db.submit(cpu=9000),
        gate_db.submit(),
    )
    for number in range(4):
        if number % 2:
            annotate_again(gate_db)
        gate_db.run_pass()

    told = {run: [(record.code, record.text) for record in gate_db.said(run)] for run in (nowhere, large, plain)}
    assert told == {
        nowhere: [(Code.NO_MATCH, "no node matches: of 1, 1 without label disk=nvme")],
        large: [(Code.TOO_LARGE, "needs 9000m CPU; the largest node has 4000m CPU")],
        plain: [(Code.POOL_LIMIT, "the pool runs 1 of 1")],
    }


def test_a_pass_of_a_full_pool_looks_at_the_nodes_only_for_whom_it_tells_something(gate_db: Any) -> None:
    gate_db.pool(max_concurrent_tests=1)
    gate_db.submit(2)
    gate_db.run_pass()
    gate_db.run_pass()

    def looked_at() -> bool:
        def read(conn: Connection) -> bool:
            known = pass_input.facts(conn, DEFAULT_POOL)
            found = pass_input.waiting(conn, known)
            return len(pass_input.state(conn, known, found).node_usage) > 0

        looked: bool = gate_db.do(read)
        return looked

    gate_db.sql("UPDATE pools SET annotated_at = clock_timestamp()")
    assert not looked_at()
    gate_db.submit()
    assert looked_at()


def test_the_share_that_is_shown_is_the_one_that_orders(gate_db: Any) -> None:
    """What a team has now counts, not only what it had lately."""
    gate_db.pool(strategy=Strategy.FAIR_SHARE, max_concurrent_tests=2)
    red, blue = (gate_db.person(name, most=9, team=gate_db.team(name, most=9)) for name in ("red", "blue"))
    gate_db.sql("UPDATE teams SET weight = 2 WHERE team_name = 'blue'")
    gate_db.submit(who=red, cpu=2000)
    gate_db.submit(who=blue, cpu=1000)
    gate_db.run_pass()
    waiting = [*gate_db.submit(who=red), *gate_db.submit(who=blue)]
    annotate_again(gate_db)
    gate_db.run_pass()

    shown = gate_db.do(lambda conn: decisions.owned(conn, waiting))
    assert [shown[run].share for run in waiting] == pytest.approx([0.5, 0.25], rel=0.01)
    assert [shown[run].share for run in waiting] == pytest.approx(
        [gate_db.said(r)[-1].share for r in waiting], rel=0.01
    )
