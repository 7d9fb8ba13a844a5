"""The states of an experiment: the way there, and the way back from anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.experiment import Order
from chaos.experiment_states import (
    STEPS,
    Begin,
    Command,
    Cordon,
    Done,
    Event,
    FaultOver,
    Grown,
    Injected,
    InjectFault,
    Judged,
    Restarted,
    RevertFault,
    State,
    Step,
    Stopped,
    Verified,
    WriteFaultDown,
    WrittenDown,
    apply,
    fail,
    start,
)
from chaos.judge import Judgement
from chaos.provider import FaultStatus
from chaos.verdict import End

QUIET = [Done(step=step) for step in STEPS[:5]]
ONE_FAULT: list[Event] = [
    *QUIET,
    WrittenDown(fault=0),
    Injected(fault=0),
    Done(step=Step.OBSERVE),
    Verified(fault=0, clean=True),
    Done(step=Step.RECOVERY),
    Judged(judgement=Judgement.MET),
    Done(step=Step.RECORD),
]


def run(events: list[Event], faults: int = 1, order: Order = Order.PARALLEL) -> tuple[State, list[Command]]:
    state, commands = start(faults, order)
    said = list(commands)
    for event in events:
        state, commands = apply(state, event)
        said += commands
    return state, said


def answers(state: State, commands: tuple[Command, ...]) -> list[Event]:
    """Return what a world in which everything works answers."""
    said: list[Event] = []
    for command in commands:
        match command:
            case WriteFaultDown(fault=fault):
                said.append(WrittenDown(fault=fault))
            case InjectFault(fault=fault):
                said.append(Injected(fault=fault))
            case RevertFault(fault=fault):
                said.append(Verified(fault=fault, clean=True))
            case Begin(step=Step.JUDGE):
                said.append(Judged(judgement=Judgement.MET))
            case Begin(step=step) if step not in {Step.REVERT, Step.INJECT}:
                said.append(Done(step=step))
            case _:
                pass
    return said


def to_the_end(state: State, commands: tuple[Command, ...]) -> tuple[State, list[Command]]:
    said, waiting = list(commands), answers(state, commands)
    while waiting:
        state, commands = apply(state, waiting.pop(0))
        said += commands
        waiting += answers(state, commands)
    return state, said


def test_the_whole_way() -> None:
    state, said = run(ONE_FAULT)

    assert [command.step for command in said if isinstance(command, Begin)] == [
        step for step in STEPS if step not in {Step.INJECT, Step.ENDED}
    ]
    assert state.step is Step.ENDED
    assert state.verdict is not None
    assert state.verdict.exit_code == 0


def test_a_fault_is_written_down_before_it_is_injected() -> None:
    _, said = run(ONE_FAULT)

    assert said.index(WriteFaultDown(fault=0)) < said.index(InjectFault(fault=0))


def test_parallel_faults_are_reverted_in_reverse() -> None:
    events = [*QUIET, *(e for n in range(3) for e in (WrittenDown(fault=n), Injected(fault=n)))]
    _, said = run([*events, Done(step=Step.OBSERVE)], 3)

    assert [one.fault for one in said if isinstance(one, RevertFault)] == [2, 1, 0]


def test_faults_of_a_sequence_follow_one_another() -> None:
    events = [*QUIET, WrittenDown(fault=0), Injected(fault=0), FaultOver(fault=0), Verified(fault=0, clean=True)]
    state, said = run(events, 2, Order.SEQUENCE)

    assert said[-2:] == [RevertFault(fault=0), WriteFaultDown(fault=1)]
    assert state.step is Step.OBSERVE
    state, said = run([*events, WrittenDown(fault=1), Injected(fault=1), Done(step=Step.OBSERVE)], 2, Order.SEQUENCE)
    assert said[-1] == RevertFault(fault=1)


@pytest.mark.parametrize("end", [End.HALTED, End.ABORTED, End.BLOCKED, End.INFRASTRUCTURE])
@pytest.mark.parametrize("after", range(len(ONE_FAULT)))
def test_it_can_be_ended_anywhere_and_leaves_nothing(end: End, after: int) -> None:
    before, _ = run(ONE_FAULT[:after])
    state, said = to_the_end(*apply(before, Stopped(end=end, reason="enough")))

    open_before = set(before.open_faults)
    assert {one.fault for one in said if isinstance(one, RevertFault)} == (
        open_before if before.step is not Step.REVERT else set()
    )
    assert not any(isinstance(one, InjectFault) for one in said)
    if before.step in STEPS[:7]:
        assert (state.step, state.end) == (Step.ENDED, end)


@pytest.mark.parametrize("after", range(len(ONE_FAULT)))
def test_a_restart_never_injects_what_was_written_down(after: int) -> None:
    before, _ = run(ONE_FAULT[:after])
    state, said = to_the_end(*apply(before, Restarted()))

    assert state.step is Step.ENDED
    past = before.faults != (None,)
    assert any(isinstance(one, InjectFault) for one in said) != (past or before.step is Step.INJECT)
    if past and before.step in {Step.INJECT, Step.OBSERVE, Step.REVERT}:
        assert any(isinstance(one, RevertFault) for one in said)
    if past and before.step in STEPS[5:9]:
        assert state.verdict is not None
        assert state.verdict.word == "infrastructure"


@pytest.mark.parametrize("after", range(len(ONE_FAULT)))
def test_a_worker_that_fails_reverts_what_is_open_and_ends_without_another_try(after: int) -> None:
    before, _ = run(ONE_FAULT[:after])
    state, said = to_the_end(*fail(before, "a bug"))

    assert state.step is Step.ENDED
    assert {one.fault for one in said if isinstance(one, RevertFault)} == set(before.open_faults)
    assert not any(isinstance(one, InjectFault | WriteFaultDown) for one in said)
    if before.step is not Step.RECORD:
        assert (state.end, before.end) == (End.INFRASTRUCTURE, None)


def test_after_a_takeover_the_baseline_is_measured_again() -> None:
    """Its readings were in the worker that is gone; without them nothing could be judged."""
    state, _ = run([Done(step=step) for step in STEPS[:4]])
    after, said = apply(state, Restarted())

    assert state.step is Step.RECHECK
    assert (after.step, said) == (Step.BASELINE, (Begin(step=Step.BASELINE),))


def test_a_residual_replaces_any_ending_and_cordons_its_target() -> None:
    events = [*ONE_FAULT[:7], Stopped(end=End.HALTED, reason="errors"), Verified(fault=0, clean=False, reason="a rule")]
    state, said = run(events)

    assert Cordon(fault=0) in said
    assert (state.end, state.reason, state.faults) == (End.RESIDUAL, "a rule", (FaultStatus.RESIDUAL,))


def test_a_residual_does_not_keep_the_other_faults() -> None:
    events = [*QUIET, *(e for n in range(2) for e in (WrittenDown(fault=n), Injected(fault=n)))]
    state, _ = run([*events, Done(step=Step.OBSERVE), Verified(fault=1, clean=False, reason="left")], 2)
    state, _ = apply(state, Verified(fault=0, clean=True))

    assert (state.step, state.faults) == (Step.RECORD, (FaultStatus.REVERTED, FaultStatus.RESIDUAL))


def test_the_first_ending_counts() -> None:
    halted = [*ONE_FAULT[:7], Stopped(end=End.HALTED, reason="a"), Stopped(end=End.ABORTED, reason="b")]

    assert run(halted)[0].end is End.HALTED


@pytest.mark.parametrize("event", [Restarted(), Stopped(end=End.ABORTED, reason="enough")])
def test_what_was_judged_stays_whatever_happens_until_it_is_recorded(event: Event) -> None:
    judged = [*ONE_FAULT[:10], Judged(judgement=Judgement.NOT_MET, reason="99 % were wanted")]
    state, _ = run([*judged, event])

    assert (state.step, state.end, state.judgement) == (Step.RECORD, End.JUDGED, Judgement.NOT_MET)
    assert state.reason == "99 % were wanted"


def test_the_reason_of_a_halt_is_not_replaced_by_the_judgement() -> None:
    halted = [*ONE_FAULT[:7], Stopped(end=End.HALTED, reason="errors"), *ONE_FAULT[8:10]]
    state, _ = run([*halted, Judged(judgement=Judgement.NOT_MET, reason="99 % were wanted")])

    assert (state.step, state.end, state.reason) == (Step.RECORD, End.HALTED, "errors")


def test_grown_targets_queue_again() -> None:
    state, said = run([*QUIET[:4], Grown()])

    assert state.step is Step.ADMIT
    assert said[-1] == Begin(step=Step.ADMIT)


def test_no_fault_is_no_experiment() -> None:
    with pytest.raises(ValueError, match="at least one fault"):
        start(0, Order.PARALLEL)


FAULT = st.integers(-1, 3)
EVENTS = st.lists(
    st.one_of(
        st.sampled_from(STEPS).map(lambda step: Done(step=step)),
        st.sampled_from(End).map(lambda end: Stopped(end=end, reason="")),
        FAULT.map(lambda fault: WrittenDown(fault=fault)),
        FAULT.map(lambda fault: Injected(fault=fault)),
        FAULT.map(lambda fault: FaultOver(fault=fault)),
        st.builds(Verified, fault=FAULT, clean=st.booleans()),
        st.sampled_from(Judgement).map(lambda judgement: Judged(judgement=judgement)),
        st.just(Grown()),
        st.just(Restarted()),
    ),
    max_size=40,
)


@given(st.integers(1, 3), st.sampled_from(Order), EVENTS)
def test_whatever_happens_no_fault_is_injected_twice_or_left(faults: int, order: Order, events: list[Event]) -> None:
    state, commands = start(faults, order)
    said, written = list(commands), set[int]()
    for event in events:
        before = state
        state, commands = apply(state, event)
        for command in commands:
            if isinstance(command, InjectFault):
                assert before.faults[command.fault] is None
                assert command not in said
                written.add(command.fault)
        said += commands
        if state.step in STEPS[8:]:
            assert not state.open_faults
        assert written == {n for n, status in enumerate(state.faults) if status is not None}
        if before.step is Step.ENDED:
            assert (state, commands) == (before, ())


@given(st.integers(1, 3), st.sampled_from(Order), EVENTS)
def test_from_wherever_it_stands_it_can_be_ended(faults: int, order: Order, events: list[Event]) -> None:
    state, _ = run(events, faults, order)
    state, commands = apply(state, Restarted())
    ended, _ = to_the_end(state, commands)

    assert ended.step is Step.ENDED or ended.step is Step.OBSERVE
    assert ended.step is Step.OBSERVE or not ended.open_faults
