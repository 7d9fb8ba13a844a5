"""Passes of the gate that are asked for at once are made once; none is lost."""

import asyncio

import pytest

from flows.passes import Joined


class Pass:
    """A pass that ends when it is told to, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_ask_while_one_is_under_way_share_the_next() -> None:
    made = Pass()
    joined = Joined(made)
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
    joined = Joined(made)
    patient = asyncio.create_task(joined.ask(3600.0))
    await _settle()
    assert made.begun == 0

    await joined.ask()
    await patient

    assert made.begun == 1


async def test_one_that_is_patient_alone_has_its_pass_in_the_end() -> None:
    made = Pass()
    made.may_end.set()

    await Joined(made).ask(0.001)

    assert made.begun == 1


async def test_patience_does_not_hold_up_who_asked_while_another_pass_was_under_way() -> None:
    made = Pass()
    joined = Joined(made)
    first = asyncio.create_task(joined.ask())
    await _settle()
    tasks = [first, *(asyncio.create_task(joined.ask(patience)) for patience in (3600.0, 0.0, 3600.0))]
    await _settle()
    made.may_end.set()

    await asyncio.gather(*tasks)

    assert made.begun == 2


async def test_one_that_gives_up_does_not_take_the_pass_from_the_others() -> None:
    made = Pass()
    joined = Joined(made)
    leaving, staying = asyncio.create_task(joined.ask()), asyncio.create_task(joined.ask())
    await _settle()

    leaving.cancel()
    made.may_end.set()

    await staying
    assert made.begun == 1


async def test_a_pass_that_failed_is_told_to_all_that_shared_it_and_the_next_is_made() -> None:
    answers = iter([ConnectionError("gone"), None])

    async def make() -> None:
        if (failed := next(answers)) is not None:
            raise failed

    joined = Joined(make)

    told = await asyncio.gather(joined.ask(), joined.ask(), return_exceptions=True)
    await joined.ask()

    assert [type(found) for found in told] == [ConnectionError, ConnectionError]
    with pytest.raises(StopIteration):
        next(answers)
