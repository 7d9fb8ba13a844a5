"""Users, teams and quotas."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, update

from db import gate_tables, people, pools, tables
from db.engine import Database
from db.errors import NotFoundError
from db.people import OverQuota, Quota
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER, PREFECT_USER

SUBMITS = 50
LEFT = 10


@pytest.fixture
def many(db: Database) -> Iterator[Database]:
    """The same database by way of many connections."""
    with Database(db.url, size=SUBMITS // 2) as database:
        yield database


def rows(db: Database) -> int:
    return db.call(lambda conn: conn.execute(select(func.count()).select_from(tables.Run)).scalar_one())


def submit(make: Any, wanted: Any) -> Any:
    def work(conn: Any) -> OverQuota | None:
        over = people.take_daily(conn, wanted.owner, DEFAULT_POOL, 1, wanted.at)
        if over is None:
            make.execution(conn, wanted)
        return over

    return work


def at_once(db: Database, works: list[Any]) -> list[OverQuota | None]:
    """Call all works from as many threads, started together."""
    together = threading.Barrier(len(works))

    def call(work: Any) -> OverQuota | None:
        together.wait(20)
        return db.call(work)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(call, works))


def test_the_first_rows_are_there(db: Database) -> None:
    local = db.call(lambda conn: people.user(conn, LOCAL_USER))
    prefect = db.call(lambda conn: people.user(conn, "prefect"))

    assert (local.username, local.roles, local.team_id) == ("local", ("admin",), DEFAULT_TEAM)
    assert (prefect.user_id, prefect.roles, prefect.team_name) == (PREFECT_USER, ("user",), "default")
    assert local.quota == Quota(max_concurrent_tests=50, max_daily_tests=10_000)
    with pytest.raises(NotFoundError):
        db.call(lambda conn: people.user(conn, "nobody"))


def test_fifty_submits_at_once_with_ten_left_give_ten(db: Database, many: Database, make: Any, wanted: Any) -> None:
    quota = Quota(max_concurrent_tests=1, max_daily_tests=LEFT)
    db.call(lambda conn: people.set_quota(conn, "user", "local", quota))

    outcomes = at_once(many, [submit(make, wanted()) for _ in range(SUBMITS)])

    assert outcomes.count(None) == rows(db) == LEFT
    assert {(over.scope, over.used) for over in outcomes if over} == {("user", LEFT)}


def test_the_team_s_quota_holds_for_its_users_together(db: Database, many: Database, make: Any, wanted: Any) -> None:
    quota = Quota(max_concurrent_tests=1, max_daily_tests=LEFT)
    db.call(lambda conn: people.set_quota(conn, "team", "default", quota))
    owners = [LOCAL_USER, PREFECT_USER] * (SUBMITS // 2)

    outcomes = at_once(many, [submit(make, wanted(owner=owner)) for owner in owners])

    assert outcomes.count(None) == rows(db) == LEFT
    assert Counter(over.scope for over in outcomes if over) == {"team": SUBMITS - LEFT}


def test_the_pool_s_quota_holds_for_everybody_together(db: Database, many: Database, make: Any, wanted: Any) -> None:
    """Fifty at once, of users of different teams: ten are taken, by the pool's row."""
    db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_daily_tests=LEFT)))
    alone = update(tables.User).where(tables.User.user_id == PREFECT_USER).values(team_id=None)
    db.call(lambda conn: conn.execute(alone))
    owners = [LOCAL_USER, PREFECT_USER] * (SUBMITS // 2)

    outcomes = at_once(many, [submit(make, wanted(owner=owner)) for owner in owners])

    assert outcomes.count(None) == rows(db) == LEFT
    assert {(over.scope, over.name, over.used) for over in outcomes if over} == {("pool", "default", LEFT)}


def test_a_suite_is_taken_whole_by_its_pool_or_not_at_all(db: Database, noon: datetime) -> None:
    db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_daily_tests=LEFT)))

    assert db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, LEFT, noon)) is None
    over = db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, LEFT + 1, noon))
    assert str(over).startswith("the daily quota of pool default is 10 runs; 0 are used and 11 more were asked for.")


def test_a_suite_is_taken_whole_or_not_at_all(db: Database, noon: datetime) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=1, max_daily_tests=LEFT)))

    assert db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, LEFT, noon)) is None
    over = db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, LEFT + 1, noon))
    assert over == OverQuota(
        scope="user",
        name="local",
        limit=LEFT,
        used=0,
        asked=LEFT + 1,
        resets_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    assert "2026-11-24 00:00 UTC" in str(over)


def test_the_day_begins_at_midnight_utc(db: Database, make: Any, wanted: Any, noon: datetime) -> None:
    midnight = noon.replace(hour=0)
    for at in (midnight - timedelta(seconds=1), midnight, noon):
        db.call(lambda conn, at=at: make.execution(conn, wanted(at=at)))

    elsewhere = noon.astimezone(timezone(timedelta(hours=-11)))
    user, team = db.call(lambda conn: people.quota_usage(conn, "local", elsewhere))
    assert (user.today, user.remaining_today, team.today) == (2, 9998, 2)


def test_a_user_without_a_team_has_only_his_own_quota(db: Database, noon: datetime) -> None:
    db.call(lambda conn: conn.execute(update(tables.User).values(team_id=None)))

    assert db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, 1, noon)) is None
    (usage,) = db.call(lambda conn: people.quota_usage(conn, LOCAL_USER, noon))
    assert usage.scope == "user"


def test_what_a_quota_does_not_say_is_the_original_design_s(db: Database, noon: datetime) -> None:
    db.call(lambda conn: conn.execute(update(tables.User).values(quota={})))

    over = db.call(lambda conn: people.take_daily(conn, LOCAL_USER, DEFAULT_POOL, 101, noon))

    assert over is not None
    assert over.limit == 100


def test_admitted_runs_are_the_concurrent_ones(db: Database, make: Any, noon: datetime) -> None:
    def write(conn: Any) -> None:
        for state in ("admitted", "waiting"):
            row = {"execution_id": make.execution(conn), "pool": "default", "state": state, "priority": 5}
            whose = {"user_id": LOCAL_USER, "team_id": DEFAULT_TEAM, "enqueued_at": noon}
            amounts = dict.fromkeys(("cpu_milli", "memory_bytes", "ephemeral_bytes", "gpu"), 0)
            conn.execute(insert(gate_tables.QueueRow).values(**row, **whose, **amounts))

    db.call(write)

    assert [usage.concurrent for usage in db.call(lambda conn: people.quota_usage(conn, "local", noon))] == [1, 1]


def test_a_quota_of_nobody_is_not_found(db: Database) -> None:
    quota = Quota(max_concurrent_tests=1, max_daily_tests=1)
    for scope in ("user", "team"):
        with pytest.raises(NotFoundError):
            db.call(lambda conn, s=scope: people.set_quota(conn, s, "nobody", quota))
    with pytest.raises(NotFoundError):
        db.call(lambda conn: people.take_daily(conn, uuid4(), DEFAULT_POOL, 1, datetime(2026, 1, 1, tzinfo=UTC)))  # type: ignore[arg-type]


def test_runs_of_a_deployment_count_for_the_bound_user(db: Database) -> None:
    assert db.call(lambda conn: people.deployment_user(conn, "test-run/default")) == PREFECT_USER

    db.call(lambda conn: people.bind_deployment(conn, "test-run/default", PREFECT_USER))
    db.call(lambda conn: people.bind_deployment(conn, "test-run/default", LOCAL_USER))

    assert db.call(lambda conn: people.deployment_user(conn, "test-run/default")) == LOCAL_USER
