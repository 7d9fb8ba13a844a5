"""Each figure of a simulation against a trace so small that it was worked out by hand."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import numpy as np
import pytest

from model.ids import NodeName
from model.resources import Resources
from scheduler.simulation import figures
from scheduler.simulation.figures import max_min
from scheduler.simulation.report import SimulationReport, Waits
from scheduler.simulation.simulate import simulate
from scheduler.simulation.trace import TraceRun
from scheduler.values.node import Node
from scheduler.values.pool import DEFAULT_PROFILE, PROFILES, Ceiling, PoolSettings, Profile, Strategy
from scheduler.values.reasons import Code

GI = 2**30


def run(submit: float, duration: float, **given: Any) -> TraceRun:
    resources = Resources(
        cpu_milli=given.pop("cpu", 1000), memory_bytes=given.pop("memory", GI // 2), gpu=given.pop("gpu", 0)
    )
    return TraceRun(
        submit=timedelta(seconds=submit), duration=timedelta(seconds=duration), resources=resources, **given
    )


def nodes(number: int = 1, cpu: int = 1000, gpu: int = 0) -> list[Node]:
    capacity = Resources(cpu_milli=cpu, memory_bytes=GI, gpu=gpu)
    return [Node(name=NodeName(f"n{i}"), capacity=capacity) for i in range(number)]


def simulated(trace: Sequence[TraceRun], pool: Sequence[Node] | None = None, **limits: Any) -> SimulationReport:
    settings: dict[str, Any] = {"strategy": Strategy.FIFO, "ceiling": Ceiling(runs=None)}
    return simulate(trace, pool or nodes(), PoolSettings(**(settings | limits)))


THREE = (
    run(0, 10, team="shop", priority=5),
    run(2, 4, team="pay", priority=3),
    run(3, 6, team="pay", priority=5),
)
"""On one node one after the other: from 0 to 10, from 10 to 14 after 8, from 14 to 20 after 11."""


def waited(*seconds: float) -> Waits:
    """Waits of up to three runs, in ascending order."""
    ordered = sorted(seconds)
    middle = ordered[(len(ordered) - 1) // 2]
    times = [sum(seconds) / len(seconds), middle, ordered[-1], ordered[-1]]
    mean, p50, p95, longest = (timedelta(seconds=each) for each in times)
    return Waits(runs=len(seconds), mean=mean, p50=p50, p95=p95, longest=longest)


def test_waits_are_counted_over_all_by_priority_and_by_team() -> None:
    report = simulated(THREE)

    assert report.waits == waited(0, 8, 11)
    assert report.by_priority == ((3, waited(8)), (5, waited(0, 11)))
    assert report.by_team == (("pay", waited(8, 11)), ("shop", waited(0)))


def test_percentiles_are_the_nearest_rank() -> None:
    """Twenty runs that wait 0, 1, ..., 19 seconds: p50 is the tenth, p95 the nineteenth."""
    report = simulated([run(0, 1) for _ in range(20)])

    assert (report.waits.p50.total_seconds(), report.waits.p95.total_seconds()) == (9, 18)


def test_slowdown_counts_less_than_ten_seconds_as_ten() -> None:
    """(1 + 12/10 + 17/10) / 3; and a run of 20 s that waits as long has twice its duration."""
    assert simulated(THREE).slowdown == pytest.approx(1.3)
    assert simulated([run(0, 20), run(0, 20)]).slowdown == pytest.approx((1 + 2) / 2)


def test_utilisation_is_what_was_held_between_first_arrival_and_last_end() -> None:
    """CPU is full for 20 s, memory half full; a second node halves the CPU of runs that need not wait."""
    alone = simulated(THREE).utilisation
    two = simulated([run(5, 10), run(5, 10, gpu=2)], nodes(2, cpu=2000, gpu=8)).utilisation

    assert (alone.cpu, alone.memory, alone.gpu) == (1.0, 0.5, None)
    assert (two.cpu, two.memory, two.gpu) == (0.5, 0.5, 2 / 16)


def test_the_lower_bound_is_work_by_capacity() -> None:
    report = simulated(THREE)

    assert (report.makespan, report.bound.makespan, report.bound.because) == (
        timedelta(seconds=20),
        timedelta(seconds=20),
        "CPU",
    )
    assert report.stretch == 1.0


def test_the_lower_bound_counts_the_work_that_comes_late_from_when_it_comes() -> None:
    """30 s of work come at 100, after 1 s of work at 0: done at 130 at the earliest, not after 31."""
    report = simulated([run(0, 1), run(100, 10), run(100, 10), run(100, 10)])

    assert (report.bound.makespan, report.bound.because) == (timedelta(seconds=130), "CPU")


@pytest.mark.parametrize(
    ("trace", "limit", "seconds", "because"),
    [
        ([run(0, 5, cpu=100), run(100, 50, cpu=100)], None, 150, "the longest run"),
        ([run(0, 10, cpu=10, memory=GI) for _ in range(4)], None, 40, "memory"),
        ([run(0, 10, cpu=10, memory=0) for _ in range(3)], 1, 30, "places"),
        ([run(0, 10, cpu=10, memory=0, gpu=2) for _ in range(3)], None, 30, "GPUs"),
    ],
)
def test_the_lower_bound_says_what_sets_it(
    trace: list[TraceRun], limit: int | None, seconds: int, because: str
) -> None:
    report = simulated(trace, nodes(gpu=2), ceiling=Ceiling(runs=limit))

    assert (report.bound.makespan, report.bound.because) == (timedelta(seconds=seconds), because)
    assert report.makespan == report.bound.makespan


def jain(*parts: float) -> float:
    """Jain's index by its formula."""
    return sum(parts) ** 2 / (len(parts) * sum(part**2 for part in parts))


def test_fairness_is_jains_index_of_what_teams_got_of_what_they_could_claim() -> None:
    """From 2 to 10 each could claim half, and shop had it all; then pay had all for 10 s: 10 of 14."""
    assert simulated(THREE).fairness == pytest.approx(jain(1, 10 / 14))


def test_a_team_cannot_claim_more_by_sending_more_at_once() -> None:
    """Each has half until 10; b's second run asks for the rest of the pool, which a has not left."""
    trace = [run(0, 10, cpu=500, team="a"), run(0, 10, cpu=500, team="b"), run(0, 10, cpu=1000, team="b")]

    assert simulated(trace).fairness == 1.0


def test_who_comes_to_a_full_pool_could_claim_its_part() -> None:
    """a waits from 4 to 10 for half, which b has beyond its own half, and has it from 10 to 20: 5 of 8."""
    trace = [
        run(0, 10, cpu=500, team="b"),
        run(0, 10, cpu=500, team="b"),
        run(4, 10, cpu=500, team="a"),
    ]

    assert simulated(trace).fairness == pytest.approx(jain(1, 5 / 8))


def test_the_pool_is_divided_so_that_nobody_could_have_more_but_from_one_who_has_less() -> None:
    asked = np.array([[0.1, 0.1, 0.5, 0.0], [0.2, 5.0, 0.5, 0.0], [0.3, 0.6, 0.5, 2.0]])

    expected = [[0.1, 0.1, 1 / 3, 0.0], [0.2, 0.45, 1 / 3, 0.0], [0.3, 0.45, 1 / 3, 1.0]]
    assert max_min(asked) == pytest.approx(np.array(expected))


def test_fairness_over_many_events_is_taken_of_means() -> None:
    """Nearly the same as from all moments."""
    trace = busy(5)
    exact = simulated(trace, nodes(2)).fairness

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "MOMENTS", 150)
        assert simulated(trace, nodes(2)).fairness == pytest.approx(exact, abs=0.01)


def test_one_team_alone_is_treated_fairly() -> None:
    assert simulated([run(0, 5), run(0, 5)]).fairness == 1.0


def test_fragmentation_is_free_cpu_that_the_waiting_cannot_use() -> None:
    """Two nodes with 400m free each, and a run that needs 800m waits for 10 s: 800 of 2,000."""
    trace = [run(0, 10, cpu=600), run(0, 10, cpu=600), run(0, 10, cpu=800)]

    assert simulated(trace, nodes(2)).fragmentation == pytest.approx(0.4)


def test_fragmentation_is_the_mean_over_those_that_wait_and_over_time() -> None:
    """One place, 400m free beside it until 10: of three that wait 300m would fit, two times 800m would not. Then both
    would not fit into 700m for 20 s, then the last would not into 200m for 1 s.
    """
    trace = [run(0, 10, cpu=600), run(0, 20, cpu=300), run(0, 1, cpu=800), run(0, 1, cpu=800)]

    report = simulated(trace, ceiling=Ceiling(runs=1))

    assert report.fragmentation == pytest.approx((10 * 0.4 * 2 / 3 + 20 * 0.7 + 1 * 0.2) / 31)


def test_what_fits_no_node_is_unplaced_with_its_reason_and_counts_nowhere_else() -> None:
    report = simulated([run(0, 50, cpu=5000), *THREE, run(30, 50, cpu=5000)])

    assert [(each.code, each.runs) for each in report.unplaced] == [(Code.TOO_LARGE, 2)]
    assert "5000m CPU" in report.unplaced[0].text
    assert (report.runs, report.waits) == (5, waited(0, 8, 11))
    assert (report.makespan, report.fragmentation, report.fairness) == (
        timedelta(seconds=20),
        0.0,
        simulated(THREE).fairness,
    )


def test_a_trace_of_which_nothing_fits_has_no_figures_but_the_reason() -> None:
    report = simulated([run(0, 5, gpu=1)])

    assert (report.waits.runs, report.utilisation.cpu, report.timeline) == (0, 0.0, ())
    assert (report.stretch, report.slowdown, report.fairness) == (1.0, 1.0, 1.0)
    assert report.unplaced[0].runs == 1


def test_the_timeline_holds_means_of_equal_stretches() -> None:
    """One run waits from 2 to 3, two until 10, one until 14: 1 + 14 + 4 waited seconds in 20."""
    points = simulated(THREE).timeline
    stretch = 20 / len(points)
    queue = {round(point.at.total_seconds(), 3): point.queued for point in points}

    assert len(points) == 500
    assert {point.cpu for point in points} == {1.0}
    assert {point.memory for point in points} == {0.5}
    assert [queue[at] for at in (0.0, 1.96, 2.0, 2.96, 3.0, 9.96, 10.0, 13.96, 14.0)] == [0, 0, 1, 1, 2, 2, 1, 1, 0]
    assert sum(point.queued for point in points) * stretch == pytest.approx(19)


def test_a_run_that_starts_before_an_earlier_one_is_backfilled() -> None:
    """1,000m must wait for 600m; 300m, which came last, fits beside it and is done before it."""
    trace = [run(0, 100, cpu=600), run(1, 10, cpu=1000), run(50, 10, cpu=300)]

    report = simulated(trace)

    assert report.backfilled == 1
    assert report.waits.longest == timedelta(seconds=99)
    assert simulated(trace[:2]).backfilled == simulated(THREE).backfilled == 0


@pytest.mark.parametrize(("strategy", "number"), [(Strategy.PRIORITY, 0), (Strategy.RESOURCE_AWARE, 1)])
def test_a_more_important_run_comes_before_others_only_where_the_order_is_by_priority(
    strategy: Strategy, number: int
) -> None:
    """Where it is, an urgent run has its turn as it comes; else that of its arrival."""
    trace = [run(0, 100), run(1, 10, priority=5), run(50, 10, priority=0)]

    assert simulated(trace, strategy=strategy).backfilled == number


def test_a_preempted_run_waits_until_its_last_start_and_its_lost_time_was_held() -> None:
    """The urgent run stops the other at 70, and runs until 80; the other begins anew and ends at 180."""
    trace = [run(0, 100, priority=9), run(70, 10, priority=0)]

    report = simulated(trace, strategy=Strategy.PRIORITY, preemption=True)

    assert report.preemptions == 1
    assert report.by_priority == ((0, waited(0)), (9, waited(80)))
    assert (report.makespan, report.utilisation.cpu) == (timedelta(seconds=180), 1.0)
    assert report.bound.makespan == timedelta(seconds=110)
    queue = sum(point.queued for point in report.timeline) * 180 / len(report.timeline)
    assert queue == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_run_that_holds_the_only_node_is_not_stopped_for_ever(strategy: Strategy) -> None:
    """Under FIFO not at all, under the others only for what comes before it in the order: nine ageing limits here."""
    late, early = ([run(0, 40_000, priority=9), run(at, 100, priority=0)] for at in (32_500, 10))

    report = simulated(late, strategy=strategy, preemption=True)
    assert (report.preemptions, report.makespan) == (0, timedelta(seconds=40_100))
    assert simulated(early, strategy=strategy, preemption=True).preemptions == (strategy is not Strategy.FIFO)


def test_the_end_that_a_preempted_run_would_have_had_ends_nothing() -> None:
    """Two run until 100. The younger is stopped at 70 for a run that also ends at 100; then it begins anew."""
    trace = [run(0, 100, cpu=500, priority=9), run(1, 99, cpu=500, priority=9), run(70, 30, cpu=500, priority=0)]

    report = simulated(trace, strategy=Strategy.PRIORITY, preemption=True)

    assert (report.preemptions, report.makespan) == (1, timedelta(seconds=199))


def test_nobody_is_preempted_unless_that_is_asked_for() -> None:
    trace = [run(0, 100, priority=9), run(70, 10, priority=0)]

    report = simulated(trace, strategy=Strategy.PRIORITY)

    assert (report.preemptions, report.makespan) == (0, timedelta(seconds=110))


def test_what_could_never_start_is_overtaken_by_nobody() -> None:
    assert simulated([run(0, 1, cpu=5000), run(0, 1)]).backfilled == 0


def busy(seed: int, runs: int = 80) -> list[TraceRun]:
    """A trace that keeps two nodes more than busy."""
    random = Random(seed)
    made = [
        run(
            random.uniform(0, 400),
            random.lognormvariate(3, 1),
            cpu=random.choice([100, 250, 500, 1000]),
            memory=random.choice([GI // 16, GI // 8, GI]),
            priority=random.randrange(10),
            team=f"t{random.randrange(4)}",
            user=f"u{random.randrange(9)}",
        )
        for _ in range(runs)
    ]
    return sorted(made, key=lambda each: each.submit)


@pytest.mark.parametrize(
    ("strategy", "profile"),
    [*((each, DEFAULT_PROFILE) for each in Strategy), *((Strategy.PRIORITY, each) for each in PROFILES.values())],
)
@pytest.mark.parametrize("preemption", [False, True])
def test_under_all_strategies_and_profiles_all_runs_end(
    strategy: Strategy, profile: Profile, *, preemption: bool
) -> None:
    """With preemption some are aged before they start, and what is stopped holds nodes in vain."""
    trace = busy(1)
    ageing = timedelta(minutes=5) if preemption else timedelta(hours=1)

    report = simulated(trace, nodes(2), strategy=strategy, profile=profile, preemption=preemption, ageing_limit=ageing)

    assert (report.waits.runs, report.unplaced) == (80, ())
    assert report.makespan >= report.bound.makespan
    held = sum(each.resources.cpu_milli * each.duration.total_seconds() for each in trace)
    lost = report.utilisation.cpu * 2000 * report.makespan.total_seconds() - held
    assert lost > 0 if report.preemptions else lost == pytest.approx(0, abs=1e-3)
    assert report.preemptions == 0 or preemption
    assert sum(waits.runs for _, waits in report.by_team) == sum(waits.runs for _, waits in report.by_priority) == 80


@pytest.mark.parametrize("strategy", Strategy)
def test_the_same_seed_gives_the_same_report(strategy: Strategy) -> None:
    first, second = (simulated(busy(2, 40), nodes(2), strategy=strategy, seed=3) for _ in range(2))

    assert first == second


def test_progress_is_told_as_runs_end() -> None:
    told: list[int] = []

    simulate([run(0, 1, cpu=0, memory=0) for _ in range(2500)], nodes(), PoolSettings(), told.append)

    assert told == [1000, 2000]
