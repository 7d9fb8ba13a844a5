"""The worker's standing loops."""

import asyncio

import pytest

from flows.periodic import every, pause_after


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_a_job_that_waits_by_itself_is_not_called_in_a_rush_while_it_fails(seconds: float) -> None:
    """The gate's pulse waits at its end, and does not come to it while PostgreSQL is away."""
    tries: list[int] = []

    async def away() -> None:
        tries.append(1)
        raise ConnectionError("away")

    async def look() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await every(seconds, away)

    asyncio.run(look())

    assert tries == [1]


def test_pauses_grow_with_failures_and_end_somewhere() -> None:
    assert [pause_after(0.0, failures) for failures in range(6)] == [0.0, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert [pause_after(10.0, failures) for failures in range(4)] == [10.0, 20.0, 30.0, 30.0]
