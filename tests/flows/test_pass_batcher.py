"""Passes of the gate that are asked for at once are made once; none is lost."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import Connection, text

from db.engine import Database
from flows.pass_batcher import PassBatcher, PendingChange, carry_out
from orchestrator.place_releases import PlaceReleases


class Pass:
    """A pass that ends when it is told to, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self, _handed: Sequence[PendingChange]) -> None:
        self.begun += 1
        await self.may_end.wait()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_ask_while_one_is_under_way_share_the_next() -> None:
    made = Pass()
    joined = PassBatcher(made)
    first = asyncio.create_task(joined.ask())
    await _settle()
    others = [asyncio.create_task(joined.ask()) for _ in range(20)]
    await _settle()
    assert made.begun == 1
    assert not any(task.done() for task in (first, *others))

    made.may_end.set()
    await asyncio.gather(first, *others)

    assert made.begun == 2


async def test_one_that_is_patient_waits_for_others_to_share_it() -> None:
    made = Pass()
    made.may_end.set()
    joined = PassBatcher(made)
    patient = asyncio.create_task(joined.ask(3600.0))
    await _settle()
    assert made.begun == 0

    await joined.ask()
    await patient

    assert made.begun == 1


async def test_one_that_is_patient_alone_has_its_pass_in_the_end() -> None:
    made = Pass()
    made.may_end.set()

    await PassBatcher(made).ask(0.001)

    assert made.begun == 1


async def test_patience_does_not_hold_up_who_asked_while_another_pass_was_under_way() -> None:
    made = Pass()
    joined = PassBatcher(made)
    first = asyncio.create_task(joined.ask())
    await _settle()
    tasks = [first, *(asyncio.create_task(joined.ask(patience)) for patience in (3600.0, 0.0, 3600.0))]
    await _settle()
    made.may_end.set()

    await asyncio.gather(*tasks)

    assert made.begun == 2


async def test_one_that_gives_up_does_not_take_the_pass_from_the_others() -> None:
    made = Pass()
    joined = PassBatcher(made)
    leaving, staying = asyncio.create_task(joined.ask()), asyncio.create_task(joined.ask())
    await _settle()

    leaving.cancel()
    made.may_end.set()

    await staying
    assert made.begun == 1


async def test_a_pass_that_failed_is_told_to_all_that_shared_it_and_the_next_is_made() -> None:
    answers = iter([ConnectionError("gone"), None])

    async def make(_: Sequence[PendingChange]) -> None:
        if (failed := next(answers)) is not None:
            raise failed

    joined = PassBatcher(make)

    told = await asyncio.gather(joined.ask(), joined.ask(), return_exceptions=True)
    await joined.ask()

    assert [type(found) for found in told] == [ConnectionError, ConnectionError]
    with pytest.raises(StopIteration):
        next(answers)


@pytest.fixture
def db(new_database: Callable[[], str]) -> Iterator[Database]:
    with Database(new_database()) as db:
        db.call(lambda conn: conn.execute(text("CREATE TABLE done (number int PRIMARY KEY, by text)")))
        yield db


def _insert(number: int) -> Callable[[Connection, PlaceReleases], str]:
    """Return a change that tells which transaction it was made in; the same number twice is an error."""

    def change(conn: Connection, _: PlaceReleases) -> str:
        made = text("INSERT INTO done VALUES (:number, pg_current_xact_id()::text) RETURNING by")
        return str(conn.execute(made, {"number": number}).scalar_one())

    return change


def _count(conn: Connection) -> int:
    return int(conn.execute(text("SELECT count(*) FROM done")).scalar_one())


async def test_changes_that_come_together_share_a_transaction_with_the_pass_that_sees_them(db: Database) -> None:
    seen: list[int] = []

    async def make(handed: Sequence[PendingChange]) -> None:
        seen.append(await carry_out(db, handed, _count))

    joined = PassBatcher(make)

    transactions = await asyncio.gather(*(joined.change(_insert(number)) for number in range(10)))

    assert len(set(transactions)) == 1
    assert seen == [10]


async def test_a_change_that_fails_fails_alone(db: Database) -> None:
    joined = PassBatcher(lambda handed: carry_out(db, handed, _count))
    await joined.change(_insert(3))

    told = await asyncio.gather(*(joined.change(_insert(number)) for number in range(5)), return_exceptions=True)

    assert [type(one).__name__ for one in told] == ["str", "str", "str", "IntegrityError", "str"]
    assert db.call(_count) == 5


async def test_a_pass_that_fails_undoes_no_change_and_is_no_matter_of_its_maker(db: Database) -> None:
    def broken(_: Connection) -> int:
        raise LookupError("the pass")

    joined = PassBatcher(lambda handed: carry_out(db, handed, broken))

    await asyncio.gather(*(joined.change(_insert(number)) for number in range(5)))

    assert db.call(_count) == 5
    with pytest.raises(LookupError):
        await joined.ask()


async def test_a_change_whose_maker_has_left_is_made(db: Database) -> None:
    joined = PassBatcher(lambda handed: carry_out(db, handed, _count))
    leaving = asyncio.create_task(joined.change(_insert(1)))
    await _settle()

    leaving.cancel()
    await joined.ask()

    assert db.call(_count) == 1
