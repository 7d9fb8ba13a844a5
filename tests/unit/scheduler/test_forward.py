"""The plan run forward: the same rules as the gate's, in virtual time."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count, islice
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.admission.state import State
from scheduler.simulation.event_simulation import Ended, Event, Passed, Started, forward
from scheduler.values.pool import Ceiling, Strategy
from scheduler.values.run import Constraints, Queued, Running

Minutes = Mapping[int, float]


def lasting(minutes: Minutes) -> Callable[[Queued | Running], timedelta]:
    """Durations by the number of the run."""
    return lambda run: timedelta(minutes=minutes[run.execution_id.int - 1])


def told(events: Iterable[Event], noon: datetime) -> list[tuple[str, int, float]]:
    """What happened, to whom, and how many minutes after noon."""
    lines = []
    for event in events:
        at = (event.at - noon).total_seconds() / 60
        if isinstance(event, Started):
            lines.append(("start", event.run.seq, at))
        elif isinstance(event, Ended):
            lines.append(("end", event.run.int - 1, at))
    return lines


def one_at_a_time(make: SimpleNamespace, waiting: list[Queued], **given: object) -> State:
    limits: dict[str, object] = {"strategy": Strategy.FIFO, "ceiling": Ceiling(runs=1)}
    return make.state(waiting, **(limits | given))  # type: ignore[no-any-return]


def test_a_place_is_given_on_the_moment_it_is_free(make: SimpleNamespace) -> None:
    state = one_at_a_time(make, [make.queued(1), make.queued(2)])

    events = told(forward(state, make.NOON, lasting({1: 10, 2: 4})), make.NOON)

    assert events == [("start", 1, 0), ("end", 1, 10), ("start", 2, 10), ("end", 2, 14)]


def test_what_runs_already_ends_after_what_is_left_of_it(make: SimpleNamespace) -> None:
    state = one_at_a_time(make, [make.queued(1)], holding=[make.running(9)])

    events = told(forward(state, make.NOON, lasting({1: 1, 9: 3})), make.NOON)

    assert events == [("end", 9, 3), ("start", 1, 3), ("end", 1, 4)]


def test_arrivals_come_in_their_time_and_late_ones_at_once(make: SimpleNamespace) -> None:
    late = make.queued(1, enqueued_at=make.NOON - timedelta(minutes=5))
    later = make.queued(2, enqueued_at=make.NOON + timedelta(minutes=7))

    events = told(forward(one_at_a_time(make, []), make.NOON, lasting({1: 1, 2: 1}), [late, later]), make.NOON)

    assert events == [("start", 1, 0), ("end", 1, 1), ("start", 2, 7), ("end", 2, 8)]


def test_arrivals_may_have_no_end_and_none_is_asked_for_too_early(make: SimpleNamespace) -> None:
    asked = []

    def endless() -> Iterator[Queued]:
        for number in count(1):
            asked.append(number)
            yield make.queued(number, enqueued_at=make.NOON + timedelta(minutes=number))

    events = forward(one_at_a_time(make, []), make.NOON, lambda _: timedelta(seconds=1), endless())
    starts = (event.at for event in events if isinstance(event, Started))

    assert [(at - make.NOON).total_seconds() / 60 for at in islice(starts, 3)] == [1, 2, 3]
    assert asked == [1, 2, 3, 4]


def test_ends_and_arrivals_of_one_moment_are_followed_by_one_pass(make: SimpleNamespace) -> None:
    """The more important run that comes as a place falls free gets it: neither is looked at without the other."""
    first, second = make.queued(1), make.queued(2)
    urgent = make.queued(3, priority=0, enqueued_at=make.NOON + timedelta(minutes=5))
    state = one_at_a_time(make, [first, second], strategy=Strategy.PRIORITY)

    events = list(forward(state, make.NOON, lasting({1: 5, 2: 1, 3: 1}), [urgent]))

    assert [line[1] for line in told(events, make.NOON) if line[0] == "start"] == [1, 3, 2]
    passes = [event.at for event in events if isinstance(event, Passed)]
    assert len(passes) == len(set(passes))


def test_time_alone_is_a_reason_to_look_again(make: SimpleNamespace) -> None:
    """A run in backoff starts as it ends, though nothing else happens."""
    run = make.queued(1, not_before=make.NOON + timedelta(minutes=3))

    events = told(forward(one_at_a_time(make, [run]), make.NOON, lasting({1: 1})), make.NOON)

    assert events == [("start", 1, 3), ("end", 1, 4)]


def test_a_run_that_can_never_start_waits_in_the_state_at_the_end(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, cpu=100_000), make.queued(2)])

    events = told(forward(state, make.NOON, lasting({2: 1})), make.NOON)

    assert events == [("start", 2, 0), ("end", 2, 1)]
    assert [run.seq for run in state.queued.values()] == [1]


def test_a_run_that_takes_no_time_ends_when_it_starts(make: SimpleNamespace) -> None:
    state = one_at_a_time(make, [make.queued(1), make.queued(2)])

    events = told(forward(state, make.NOON, lasting({1: 0, 2: 0})), make.NOON)

    assert events == [("start", 1, 0), ("end", 1, 0), ("start", 2, 0), ("end", 2, 0)]


def test_a_run_that_is_stopped_for_another_waits_again_with_its_old_age_and_begins_anew(make: SimpleNamespace) -> None:
    """It was asked to stop before; its place goes to the more important run, and it comes before those after it."""
    stopping = make.running(9, seq=0, preempted_for=make.run_id(1), started_at=make.NOON - timedelta(minutes=30))
    waiting = [make.queued(1, priority=0), make.queued(2, priority=5)]
    state = one_at_a_time(make, waiting, holding=[stopping], strategy=Strategy.PRIORITY)

    events = list(forward(state, make.NOON, lasting({1: 5, 2: 5, 9: 1})))

    ends = [(event.run.int - 1, event.preempted_for) for event in events if isinstance(event, Ended)]
    assert ends == [(9, make.run_id(1)), (1, None), (9, None), (2, None)]
    assert [start.run.execution_id.int - 1 for start in events if isinstance(start, Started)] == [1, 9, 2]


def test_a_run_that_had_a_place_from_the_beginning_waits_as_it_did(make: SimpleNamespace) -> None:
    """It goes back to its own age and place in the order, and asks for what it asked for; the node it may not use is
    still none for it."""
    elsewhere = Constraints(node_selector=(("disk", "ssd"),))
    nodes = [make.node(0, cpu=1000, labels={"disk": "ssd"}), make.node(1, cpu=1000)]
    there = make.running(
        9, seq=3, cpu=1000, constraints=elsewhere, restartable=True, started_at=make.NOON - timedelta(minutes=10)
    )
    waiting = [
        make.queued(1, cpu=1000, priority=0, constraints=elsewhere),
        make.queued(4, cpu=1000, constraints=elsewhere, enqueued_at=make.NOON - timedelta(minutes=5)),
    ]
    state = make.state(waiting, nodes=nodes, holding=[there], preemption=True)

    events = told(forward(state, make.NOON, lasting({1: 5, 4: 5, 9: 20})), make.NOON)

    assert [event for event in events if event[0] == "start"] == [("start", 1, 0), ("start", 3, 5), ("start", 4, 25)]


def test_whoever_asks_for_no_more_events_pays_for_no_more(make: SimpleNamespace) -> None:
    asked: list[int] = []

    def duration(run: Queued | Running) -> timedelta:
        asked.append(run.execution_id.int - 1)
        return timedelta(minutes=1)

    state = one_at_a_time(make, [make.queued(number) for number in range(1, 50)])
    starts = (event for event in forward(state, make.NOON, duration) if isinstance(event, Started))

    assert [event.run.seq for event in islice(starts, 2)] == [1, 2]
    assert asked == [1, 2]


def test_the_seed_decides_between_equal_nodes(make: SimpleNamespace) -> None:
    def node(seed: int) -> str:
        state = make.state([make.queued(1)], nodes=[make.node(number) for number in range(8)], seed=seed)
        events = forward(state, make.NOON, lasting({1: 1}))
        return next(event.node for event in events if isinstance(event, Started))

    assert [node(seed) for seed in range(8)] == [node(seed) for seed in range(8)]
    assert len({node(seed) for seed in range(8)}) > 1


@given(
    runs=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(1, 40), st.integers(0, 9)), max_size=25
    ),
    strategy=st.sampled_from(Strategy),
)
def test_every_run_starts_and_ends_once_and_no_node_is_overdrawn(
    make: SimpleNamespace, runs: list[tuple[int, int, int, int]], strategy: Strategy
) -> None:
    """Runs of (arrival, duration, CPU, priority) on one node of 4,000m."""
    arrivals = [
        make.queued(i, cpu=100 * cpu, priority=priority, enqueued_at=make.NOON + timedelta(minutes=at))
        for i, (at, _, cpu, priority) in sorted(enumerate(runs), key=lambda numbered: numbered[1][0])
    ]
    state = make.state([], strategy=strategy, ageing_limit=timedelta(minutes=20))
    started: list[int] = []
    ended: list[int] = []

    for event in forward(state, make.NOON, lasting({i: run[1] for i, run in enumerate(runs)}), arrivals):
        assert (state.node_usage.free >= 0).all()
        if isinstance(event, Started):
            started.append(event.run.seq)
            assert event.at >= event.run.enqueued_at
        elif isinstance(event, Ended):
            ended.append(event.run.int - 1)

    assert sorted(started) == sorted(ended) == list(range(len(runs)))
