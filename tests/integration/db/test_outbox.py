"""The outbox: whoever reads on from a position misses no end, in whatever order the transactions commit."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from db import outbox, runs, suites
from db.engine import Database
from db.outbox import BEGINNING, OutboxPosition
from db.runs import Become, Fenced
from db.seeds import DEFAULT_POOL, LOCAL_USER
from db.suites import NewSuiteRun
from model.execution import Door, Phase, Reason, Status, Verdict
from model.ids import ExecutionId, RunId, SuiteRunId
from model.notices import Ended
from model.runs import SKIPPED, RunKind

RUNNING = Become(status=Status.RUNNING, phase=Phase.RUNNING)
FAILED = Become(status=Status.FAILED, phase=Phase.ENDED, reason=Reason.TESTS_FAILED)
CANCELLED = Become(status=Status.CANCELLED, phase=Phase.ENDED)


def end(conn: Connection, run: RunId) -> None:
    """End a run that waits."""
    assert runs.transition(conn, Fenced(run_id=run, epoch=None), Status.QUEUED, CANCELLED)


def ends(db: Database, position: OutboxPosition = BEGINNING) -> list[RunId]:
    return [entry.ended.run_id for entry in db.call(lambda conn: outbox.read_after(conn, position))]


@contextmanager
def transaction(db: Database) -> Iterator[Connection]:
    with db._engine.connect() as conn, conn.begin():
        yield conn


@pytest.fixture
def many(db: Database) -> Iterator[Database]:
    """The same database, by as many connections as there are transactions at once."""
    with Database(db.url, size=6) as database:
        yield database


@pytest.fixture
def three(db: Database, make: Any) -> list[ExecutionId]:
    return db.call(lambda conn: [make.execution(conn) for _ in range(3)])


def test_an_end_says_which_run_of_which_kind_ended_how_and_why(db: Database, waiting: ExecutionId) -> None:
    fenced = Fenced(run_id=waiting, epoch=None)
    db.call(lambda conn: runs.transition(conn, fenced, Status.QUEUED, RUNNING))
    assert ends(db) == []

    db.call(lambda conn: runs.transition(conn, fenced, Status.RUNNING, FAILED))
    assert not db.call(lambda conn: runs.transition(conn, fenced, Status.RUNNING, FAILED))

    [entry] = db.call(outbox.read_after)
    assert entry.ended == Ended(run_id=waiting, kind=RunKind.TEST, status=Status.FAILED, reason=Reason.TESTS_FAILED)
    assert ends(db, entry.position) == []


@pytest.mark.parametrize(
    ("finish", "status"),
    [
        (lambda conn, run: suites.finish(conn, run, Verdict(status=Status.TIMEOUT)), Status.TIMEOUT),
        (suites.skip, SKIPPED),
    ],
)
def test_the_end_of_a_suite_is_told_too(db: Database, noon: Any, finish: Callable[..., bool], status: Status) -> None:
    run = SuiteRunId(RunId(UUID(int=9)))
    new = NewSuiteRun(
        suite_run_id=run,
        name="nightly",
        definition={},
        door=Door.REST,
        pool=DEFAULT_POOL,
        submitted_by=LOCAL_USER,
        submitted_at=noon,
    )
    db.call(lambda conn: suites.save(conn, new))
    db.call(lambda conn: finish(conn, run))

    assert [entry.ended for entry in db.call(outbox.read_after)] == [
        Ended(run_id=run, kind=RunKind.SUITE, status=status)
    ]


def test_an_end_that_is_rolled_back_leaves_nothing(db: Database, three: list[ExecutionId]) -> None:
    def broken(conn: Connection) -> None:
        end(conn, three[0])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.call(broken)
    db.call(lambda conn: end(conn, three[1]))

    assert ends(db) == [three[1]]


def test_the_end_of_a_slower_transaction_is_not_missed(many: Database, three: list[ExecutionId]) -> None:
    """The first drew the smaller number and commits last; until then the second is held back."""
    first, second, third = three
    with transaction(many) as slow:
        end(slow, first)
        many.call(lambda conn: end(conn, second))
        assert ends(many) == []

    seen = many.call(outbox.read_after)
    assert [entry.ended.run_id for entry in seen] == [first, second]
    many.call(lambda conn: end(conn, third))
    assert ends(many, seen[-1].position) == [third]


def test_a_smaller_number_of_a_later_transaction_is_not_missed(many: Database, three: list[ExecutionId]) -> None:
    """An order by number alone would skip it: the older transaction draws the larger number, and commits first."""
    first, second, _ = three
    with ExitStack() as older_alone:
        older = older_alone.enter_context(transaction(many))
        older.execute(text("SELECT pg_current_xact_id()"))
        with transaction(many) as younger:
            end(younger, second)
            end(older, first)
            older_alone.close()
            [seen] = many.call(outbox.read_after)
            assert seen.ended.run_id == first

    query = text("SELECT run_id FROM outbox ORDER BY position")
    assert many.call(lambda conn: conn.execute(query).scalars().all()) == [second, first]
    assert ends(many, seen.position) == [second]


def test_a_reader_goes_on_page_by_page(db: Database, three: list[ExecutionId]) -> None:
    for run in three:
        db.call(lambda conn, run=run: end(conn, run))
    position, found = BEGINNING, []
    while page := db.call(lambda conn, at=position: outbox.read_after(conn, at, limit=2)):
        found += [entry.ended.run_id for entry in page]
        position = page[-1].position

    assert found == three


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["end", "commit", "read"])), max_size=24)


class Subscriber:
    """Reads on from where it was."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.found: list[RunId] = []
        before = db.call(lambda conn: outbox.read_after(conn, BEGINNING, 10_000))
        self.position = before[-1].position if before else BEGINNING

    def read(self) -> None:
        page = self.db.call(lambda conn: outbox.read_after(conn, self.position))
        self.found += [entry.ended.run_id for entry in page]
        self.position = page[-1].position if page else self.position


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_interleaving_makes_a_reader_miss_or_repeat_an_end(many: Database, make: Any, steps: Any) -> None:
    """Four transactions end runs and commit in any order; a reader that reads at any moment sees each end once."""
    subscriber = Subscriber(many)
    expected: list[RunId] = []
    with ExitStack() as all_of_them:
        under_way: dict[int, ExitStack] = {}
        conns: dict[int, Connection] = {}
        for number, step in steps:
            if step == "read":
                subscriber.read()
            elif step == "commit" and number in conns:
                conns.pop(number)
                under_way.pop(number).close()
            elif step == "end":
                expected.append(many.call(make.execution))
                if number not in conns:
                    under_way[number] = all_of_them.enter_context(ExitStack())
                    conns[number] = under_way[number].enter_context(transaction(many))
                end(conns[number], expected[-1])
    subscriber.read()

    assert sorted(subscriber.found) == sorted(expected)


def test_entries_are_kept_for_a_while_and_then_deleted(db: Database, three: list[ExecutionId]) -> None:
    for run in three:
        db.call(lambda conn, run=run: end(conn, run))
    db.call(lambda conn: conn.execute(text("UPDATE outbox SET at = at - interval '8 days' WHERE position % 2 = 0")))
    left = len(db.call(outbox.read_after))
    old = db.call(lambda conn: conn.execute(text("SELECT count(*) FROM outbox WHERE position % 2 = 0")).scalar_one())

    assert db.call(outbox.prune) == old > 0
    assert len(db.call(outbox.read_after)) == left - old
    assert db.call(lambda conn: outbox.prune(conn, timedelta(days=30))) == 0
