"""What every backend does: an attempt runs once, its end is told, and nothing of it is left."""

import asyncio
import signal
import threading
from dataclasses import replace

import pytest
from harness.backends import FOREVER, Bed, ended, order, printed, run, up

from cluster.backend import (
    Backend,
    Fault,
    Launched,
    LaunchError,
)
from model.command import Command
from model.config import ExecutionConfig
from model.content import ArtifactContent
from model.ending import How
from model.resources import ResourceRequirements

# -- nodes ------------------------------------------------------------------------------------------------------------


async def test_it_has_nodes_with_room_in_order_of_name(backend: Backend) -> None:
    nodes = await backend.nodes()

    names = [node.name for node in nodes]
    assert names == sorted(set(names))
    assert all(node.capacity.cpu_milli > 0 and node.capacity.memory_bytes > 0 for node in nodes)


# -- launch and adoption ----------------------------------------------------------------------------------------------


async def test_an_attempt_runs_with_its_variables_and_leaves_output_and_results(bed: Bed, backend: Backend) -> None:
    script = 'echo "$GREETING from $ASSAY_RUN_ID/$ASSAY_ATTEMPT"; echo left > "$ASSAY_RESULTS_DIR/it"'
    wanted = order(bed, script, env={"GREETING": "hello"})

    ending = await run(backend, wanted)
    spooled = await backend.spool(wanted.attempt)

    assert (ending.how, ending.exit_code, ending.signal) == (How.EXITED, 0, None)
    assert spooled.output.read_text() == f"hello from {wanted.attempt.execution_id}/1\n"
    assert (spooled.results / "it").read_text() == "left\n"


async def test_launching_again_starts_nothing_again(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    first = await up(backend, wanted)

    again = await backend.launch(wanted)
    await backend.end(wanted.attempt)
    after = await backend.launch(wanted)

    assert first == again == after
    assert (await printed(backend, wanted.attempt)).count("up\n") == 1
    assert not bed.living(wanted.attempt)


async def test_of_many_who_launch_at_once_one_starts_it(bed: Bed) -> None:
    wanted = order(bed, "echo started; sleep 0.5")
    backends = [bed.open() for _ in range(3)]

    launched = await asyncio.gather(*(backend.launch(wanted) for backend in backends for _ in range(2)))
    await ended(backends[0], wanted.attempt)

    assert set(launched) == {Launched(attempt=wanted.attempt)}
    assert await printed(backends[0], wanted.attempt) == "started\n"


async def test_another_worker_adopts_what_runs_and_sees_its_end(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "echo up; trap 'exit 7' TERM; sleep 600 & wait")
    await up(backend, wanted)
    other = bed.open()

    adopted = await other.adopt(wanted.attempt, ())
    before = (await other.wait(wanted.attempt, 0.05), await other.ending(wanted.attempt))
    await other.stop(wanted.attempt)
    endings = [await ended(one, wanted.attempt) for one in (other, backend, bed.open())]

    assert adopted == Launched(attempt=wanted.attempt)
    assert before == (False, None)
    assert {(ending.how, ending.exit_code) for ending in endings} == {(How.STOPPED, 7)}
    assert endings[0] == endings[1] == endings[2]


async def test_adopting_builds_nothing_and_needs_no_content(bed: Bed, backend: Backend) -> None:
    """The test may have changed its files; what was sent for it may be gone."""
    wanted = order(bed, "rm run.sh; " + FOREVER)
    await up(backend, wanted)

    gone = replace(wanted, content=ArtifactContent(sha256="0" * 64))

    assert await bed.open().launch(gone) == Launched(attempt=wanted.attempt)


async def test_an_attempt_that_nobody_launched_is_not_adopted_and_has_ended(bed: Bed, backend: Backend) -> None:
    attempt = order(bed, FOREVER).attempt

    await backend.stop(attempt)
    await backend.forget(attempt)

    assert await backend.adopt(attempt, ()) is None
    assert await backend.wait(attempt)
    assert (await ended(backend, attempt)).how is How.LOST
    assert await backend.usage(attempt) is None
    assert await backend.running() == []


async def test_attempts_of_one_execution_do_not_touch_each_other(bed: Bed, backend: Backend) -> None:
    first = order(bed, FOREVER)
    second = replace(first, attempt=replace(first.attempt, number=2))
    await up(backend, first)
    await up(backend, second)

    await backend.end(first.attempt)

    assert (bed.living(first.attempt), bed.living(second.attempt)) == (False, True)
    assert await backend.running() == [second.attempt]


async def test_what_is_kept_is_listed_until_it_is_forgotten(bed: Bed, backend: Backend) -> None:
    """A worker that died may have left it: what the list names can be ended and forgotten by anybody."""
    over, alive = order(bed, "exit 3"), order(bed, FOREVER)
    await up(backend, alive)
    await run(backend, over)

    both = await bed.open().kept()
    for wanted in (over, alive):
        await bed.open().end(wanted.attempt)
        await bed.open().forget(wanted.attempt)

    assert both == sorted((over.attempt, alive.attempt), key=lambda attempt: attempt.execution_id)
    assert await backend.kept() == []


# -- waiting ----------------------------------------------------------------------------------------------------------


async def test_waiting_ends_with_the_attempt_and_at_its_time_at_the_latest(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    await up(backend, wanted)
    early = await backend.wait(wanted.attempt, 0.0)
    waiting = asyncio.create_task(backend.wait(wanted.attempt))

    await backend.stop(wanted.attempt)

    assert not early
    assert await waiting


async def test_waiting_for_two_hundred_takes_no_two_hundred_threads(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    await up(backend, wanted)
    before = threading.active_count()

    waiting = [asyncio.create_task(backend.wait(wanted.attempt)) for _ in range(200)]
    await backend.wait(wanted.attempt, 0.2)
    more = threading.active_count() - before
    await backend.end(wanted.attempt)

    assert await asyncio.gather(*waiting) == [True] * 200
    assert more < 20


async def test_a_waiter_that_gives_up_disturbs_no_other(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    await up(backend, wanted)
    impatient = asyncio.create_task(backend.wait(wanted.attempt))
    patient = asyncio.create_task(backend.wait(wanted.attempt))
    await backend.wait(wanted.attempt, 0.05)

    impatient.cancel()
    await backend.end(wanted.attempt)

    assert await patient
    assert impatient.cancelled()


# -- endings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 3", 3, None), ("kill -KILL $$", None, signal.SIGKILL)], ids=["exit", "signal"]
)
async def test_how_it_ended_is_told_with_what_it_used(
    bed: Bed, backend: Backend, script: str, code: int | None, number: int | None
) -> None:
    ending = await run(backend, order(bed, script))

    assert (ending.how, ending.exit_code, ending.signal) == (How.EXITED, code, number)
    assert ending.used is not None
    assert ending.used.started_at <= ending.used.ended_at
    assert ending.used.peak_memory_bytes > 0


async def test_the_ending_is_the_same_each_time(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "exit 4")

    first = await run(backend, wanted)

    assert await backend.ending(wanted.attempt) == first == await bed.open().ending(wanted.attempt)


async def test_a_program_that_is_not_there_is_a_start_error(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "", command=Command(argv=("no-such-program-anywhere",)))

    ending = await run(backend, wanted)

    assert ending.how is How.START_ERROR
    assert ending.detail == "'no-such-program-anywhere': no such file or directory"
    assert "no-such-program-anywhere" in await printed(backend, wanted.attempt)


async def test_the_time_limit_ends_it(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "sleep 600 & " + FOREVER, config=ExecutionConfig(timeout=1))

    assert (await run(backend, wanted)).how is How.TIMEOUT
    assert not bed.living(wanted.attempt)


async def test_the_memory_limit_ends_it(bed: Bed, backend: Backend) -> None:
    eats = "x=0123456789abcdef; while :; do x=$x$x; done"
    wanted = order(bed, eats, resources=ResourceRequirements(memory_request="32Mi", memory_limit="32Mi"))

    ending = await run(backend, wanted)

    assert ending.how is How.OOM
    assert not bed.living(wanted.attempt)


async def test_a_stop_lets_it_end_by_itself_and_is_told(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "trap 'echo tidied; exit 5' TERM; echo up; sleep 600 & wait")
    await up(backend, wanted)

    await backend.stop(wanted.attempt)
    ending = await ended(backend, wanted.attempt)
    await backend.stop(wanted.attempt)

    assert (ending.how, ending.exit_code) == (How.STOPPED, 5)
    assert "tidied\n" in await printed(backend, wanted.attempt)


async def test_where_nobody_saw_the_end_it_is_lost_and_nothing_of_it_is_alive(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "setsid sleep 600 & " + FOREVER)
    await up(backend, wanted)

    bed.kill_supervisor(wanted.attempt)
    ending = await ended(backend, wanted.attempt)

    assert (ending.how, ending.exit_code, ending.used) == (How.LOST, None, None)
    assert not bed.living(wanted.attempt)
    assert await backend.ending(wanted.attempt) == ending


async def test_an_attempt_whose_place_was_taken_was_not_cancelled(bed: Bed, backend: Backend) -> None:
    """A drain sends the same signal as a cancel. The ending says what it was, so that the run is tried again."""
    wanted = order(bed, FOREVER)
    await up(backend, wanted)

    bed.take_place(wanted.attempt)
    ending = await ended(backend, wanted.attempt)
    await backend.end(wanted.attempt)

    assert ending.how is How.EVICTED, ending
    assert ending.detail
    assert await bed.open().ending(wanted.attempt) == ending
    assert not bed.living(wanted.attempt)


# -- making sure ------------------------------------------------------------------------------------------------------


async def test_an_end_leaves_nothing_alive_and_keeps_what_is_known(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "setsid sleep 600 & " + FOREVER)
    await up(backend, wanted)

    await bed.open().end(wanted.attempt)
    await backend.end(wanted.attempt)

    assert not bed.living(wanted.attempt)
    assert (await ended(backend, wanted.attempt)).how is How.STOPPED


async def test_what_was_ended_before_it_started_never_starts(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)

    await backend.end(wanted.attempt)
    await backend.end(wanted.attempt)

    assert await backend.adopt(wanted.attempt, ()) is None
    for one in (backend, bed.open()):
        with pytest.raises(LaunchError) as refused:
            await one.launch(wanted)
        assert refused.value.fault is Fault.INFRASTRUCTURE
    assert not bed.living(wanted.attempt)


async def test_many_who_launch_and_end_at_once_leave_nothing_alive(bed: Bed) -> None:
    backends = [bed.open() for _ in range(2)]
    for _ in range(3):
        wanted = order(bed, FOREVER)

        launches = [backend.launch(wanted) for backend in backends]
        ends = [backend.end(wanted.attempt) for backend in backends]
        outcomes = await asyncio.gather(*launches, *ends, return_exceptions=True)
        await backends[0].end(wanted.attempt)

        assert not bed.living(wanted.attempt)
        assert {type(outcome) for outcome in outcomes} <= {Launched, LaunchError, type(None)}


async def test_what_runs_is_found_by_whoever_asks(bed: Bed, backend: Backend) -> None:
    orders = [order(bed, FOREVER) for _ in range(3)]
    for wanted in orders:
        await up(backend, wanted)
    await run(backend, order(bed, "true"))
    bed.kill_supervisor(orders[0].attempt)

    found = await bed.open().running()
    for wanted in orders:
        await bed.open().end(wanted.attempt)

    attempts = sorted((wanted.attempt for wanted in orders), key=lambda attempt: attempt.execution_id)
    assert (found, await backend.running()) == (attempts, [])
