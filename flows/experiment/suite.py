"""The tests of the suite that carries an experiment: each window waits for its tests (028)."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from chaos.experiment_states import Stopped
from chaos.journal import EventKind
from chaos.verdict import End
from db import suite_windows
from db.suite_windows import SuiteTest
from flows.experiment.run import ExperimentRun
from model.execution import Phase
from model.suite_windows import During, SuiteWindow
from orchestrator import companions, suite_experiments

LOOK = timedelta(seconds=0.5)
NOT_BEGUN = (
    f"did not begin within {companions.LONGEST_START.total_seconds():.0f} s, so nothing was broken: `assay explain` "
    "with its id tells what it waited for"
)
NOT_ENDED = (
    "it did not end in as long as all tests of the suite may take, so nothing was broken: `assay explain` with its id "
    "tells what it waited for"
)


async def through_baseline(run: ExperimentRun, until: datetime) -> Stopped | None:
    """Wait until the baseline is over: its time, and the tests of it. The tests under the fault get their places.

    They get them as soon as all tests of the baseline have begun, so that the places go from the ones to the others.
    They give them back while one of these waits for another attempt: it would wait for their places for ever.
    """
    if run.suite is None:
        return await run.wait(until)
    await _enter(run, SuiteWindow.BASELINE, [During.BASELINE])
    latest, given = max(until, await _latest(run)), None
    while True:
        tests = await _tests(run, During.BASELINE)
        if failed := [test for test in tests if test.verdict is not None and not test.verdict.good]:
            return Stopped(end=End.BLOCKED, reason=f"before the fault, {_in_words(failed)}")
        all_begun = all(test.started_at is not None and not test.waits_again for test in tests)
        if all_begun is not given:  # nor is it known what a worker before this one has given
            given = all_begun
            await (_give_turn(run, [During.FAULT]) if given else _take_back(run))
        alive, now = [test for test in tests if test.verdict is None], run.context.now()
        if now >= until and not alive:
            return run.asked()
        if now >= latest:
            return _inconclusive(f"{_in_words(alive)}: {NOT_ENDED}")
        next_look = now + LOOK
        if (asked := await run.pause(min(until, next_look) if now < until else next_look, latest)) is not None:
            return asked


async def _latest(run: ExperimentRun) -> datetime:
    """Return until when the baseline waits for its tests: as long as all tests may take one after the other."""
    suite = run.suite
    if suite is None:
        return run.context.now()
    longest = await run.context.db.run_patiently(lambda conn: suite_windows.longest(conn, suite))
    return run.context.now() + longest + companions.LONGEST_START


async def under_way(run: ExperimentRun) -> Stopped | None:
    """Let the tests of the fault begin, and wait until all of them run. Return why nothing is to be broken, if so."""
    if run.suite is None:
        return None
    await _enter(run, SuiteWindow.FAULT, [During.FAULT])
    until = run.context.now() + companions.LONGEST_START
    while (stopped := _not_under_way(tests := await _tests(run, During.FAULT))) is None and not _all_run(tests):
        if run.context.now() >= until:
            return _inconclusive(f"{_in_words([test for test in tests if not _runs(test)])}: it {NOT_BEGUN}")
        if (asked := await run.pause(min(until, run.context.now() + LOOK), until)) is not None:
            return asked
    if stopped is None:
        run.note(EventKind.STEP, f"{_in_words(tests)}: the tests of the suite that run under the fault")
    return stopped


async def look_again(run: ExperimentRun) -> Stopped | None:
    """Return why no fault may be injected: a test that is to meet it does not run any more."""
    if run.suite is None:
        return None
    tests = await _tests(run, During.FAULT)
    return _not_under_way(tests) or (
        None if _all_run(tests) else _inconclusive(f"{_in_words(tests)}, before the fault")
    )


async def recover(run: ExperimentRun) -> None:
    """Let the tests of the recovery begin. The reverts are verified."""
    if run.suite is not None:
        await _enter(run, SuiteWindow.RECOVERY, [During.RECOVERY])


async def all_ended(run: ExperimentRun) -> Stopped | None:
    """Wait until all tests of the suite have ended: until then they share what the experiment has claimed (028.3).

    It waits no longer than they may take one after the other. Then they go on without it.
    """
    if run.suite is None:
        return None
    until = await _latest(run)
    while run.context.now() < until:
        tests = await _tests(run, *During)
        if all(test.verdict is not None for test in tests):
            return run.asked()
        if (asked := await run.pause(run.context.now() + LOOK, until)) is not None:
            return asked
    return run.asked()


async def _enter(run: ExperimentRun, window: SuiteWindow, turns: Collection[During]) -> None:
    if run.suite is not None:
        await run.context.db.run_patiently(
            partial(suite_experiments.enter, suite_run_id=run.suite, window=window, turns=turns)
        )
        await run.context.pass_gate()


async def _give_turn(run: ExperimentRun, turns: Collection[During]) -> None:
    if run.suite is not None:
        await run.context.db.run_patiently(partial(suite_experiments.give_turn, suite_run_id=run.suite, turns=turns))
        await run.context.pass_gate()


async def _take_back(run: ExperimentRun) -> None:
    if run.suite is not None:
        await run.context.db.run_patiently(partial(suite_experiments.take_back, suite_run_id=run.suite))
        await run.context.pass_gate()


async def _tests(run: ExperimentRun, *during: During) -> list[SuiteTest]:
    """Return the tests of these windows, without what runs once more."""
    suite = run.suite
    if suite is None:
        return []
    found = await run.context.db.run_patiently(lambda conn: suite_windows.tests(conn, suite))
    return [test for test in found if test.during in during and test.retried_from is None]


def _not_under_way(tests: Sequence[SuiteTest]) -> Stopped | None:
    ended = [test for test in tests if test.verdict is not None]
    return _inconclusive(f"before the fault, {_in_words(ended)}: it must run on under it") if ended else None


def _inconclusive(reason: str) -> Stopped:
    """End the experiment without a fault: nothing was shown, and nobody is to blame for that but the suite (028.6)."""
    return Stopped(end=End.JUDGED, reason=reason)


def _all_run(tests: Sequence[SuiteTest]) -> bool:
    return all(_runs(test) for test in tests)


def _runs(test: SuiteTest) -> bool:
    return test.phase is Phase.RUNNING


def _in_words(tests: Sequence[SuiteTest]) -> str:
    return "; ".join(f"the test {test.name!r} {_standing(test)}" for test in tests)


def _standing(test: SuiteTest) -> str:
    if test.verdict is None:
        return f"is {test.phase}"
    return f"ended ({test.status}{f': {test.verdict.detail}' if test.verdict.detail else ''})"
