"""The resilience score cannot be gained by easy, repeated, old or inconclusive experiments."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.fault_types import FaultType
from chaos.magnitude import magnitude
from chaos.resilience import WEIGHTS, CellState, Trial, cluster_of, freshness, possible_types, score, with_trend

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVICE = "local/shop/payments"
TYPES = tuple(FaultType)
LATENCY = FaultType.NETWORK_LATENCY


def trial(held: bool | None = True, days: float = 0, size: float = 1.0, kind: FaultType = LATENCY) -> Trial:  # noqa: FBT001, FBT002  a table of trials
    return Trial(
        run=f"run-{days}-{size}",
        service=SERVICE,
        type=kind,
        at=NOW - timedelta(days=days),
        magnitude=size,
        held=held,
    )


def scored(*trials: Trial) -> float:
    return score(SERVICE, trials, TYPES, NOW).score


def share(kind: FaultType = LATENCY) -> float:
    """Return what a type adds at most."""
    return 100 * WEIGHTS[kind] / sum(WEIGHTS.values())


def test_each_type_has_a_weight_and_all_of_them_in_full_are_a_hundred() -> None:
    assert set(WEIGHTS) == set(FaultType)
    assert scored(*(trial(kind=kind) for kind in TYPES)) == pytest.approx(100)
    assert scored() == 0


def test_what_was_never_tested_counts_as_nothing() -> None:
    """One type that held is its own share only, however well it held."""
    found = score(SERVICE, [trial()], TYPES, NOW)

    assert found.score == pytest.approx(share())
    assert found.coverage == pytest.approx(share())
    assert set(found.never) == set(TYPES) - {LATENCY}
    assert [WEIGHTS[kind] for kind in found.never] == sorted((WEIGHTS[kind] for kind in found.never), reverse=True)


def test_a_repetition_adds_nothing() -> None:
    assert scored(*(trial(days=day, size=0.2) for day in range(50))) == scored(trial(size=0.2))


@pytest.mark.parametrize(
    ("trials", "credit", "state"),
    [
        ((trial(None),), 0.0, CellState.NEVER),
        ((trial(size=0.25),), 0.25, CellState.HELD),
        ((trial(days=30),), 0.5, CellState.HELD),
        ((trial(days=60),), 0.25, CellState.STALE),
        ((trial(held=False),), 0.0, CellState.FAILED),
        ((trial(days=2), trial(held=False, days=1)), 0.0, CellState.FAILED),
        ((trial(held=False, days=2), trial(days=0)), 1.0, CellState.HELD),
        # a failure of something harder takes nothing away, so nobody has a reason not to try it
        ((trial(days=2, size=0.5), trial(held=False, days=0)), 0.5 * freshness(timedelta(days=2)), CellState.HELD),
        # an easier one that holds after a failure earns its own magnitude, and mends nothing
        ((trial(held=False, days=2, size=0.8), trial(size=0.1)), 0.1, CellState.HELD),
        # a failure of something easier refutes what held before
        ((trial(days=2, size=0.9), trial(held=False, days=1, size=0.3)), 0.0, CellState.FAILED),
        ((trial(days=2, size=0.2), trial(days=1, size=0.9), trial(held=False, size=0.5)), 0.2, CellState.HELD),
        ((trial(), trial(None)), 1.0, CellState.HELD),
    ],
)
def test_a_type_earns_what_was_shown(trials: tuple[Trial, ...], credit: float, state: CellState) -> None:
    [cell] = [one for one in score(SERVICE, trials, TYPES, NOW).cells if one.type is LATENCY]

    assert cell.credit == pytest.approx(credit, rel=0.05 if credit == 0.2 else 1e-6)
    assert cell.state is state


def test_what_fails_is_told_until_something_as_hard_holds() -> None:
    failed = trial(held=False, days=3, size=0.8)
    easier = score(SERVICE, [failed, trial(size=0.1)], TYPES, NOW)
    mended = score(SERVICE, [failed, trial(size=0.9)], TYPES, NOW)

    assert [cell.fails_at for cell in easier.cells if cell.type is LATENCY] == [0.8]
    assert [cell.fails_at for cell in mended.cells if cell.type is LATENCY] == [None]


TRIALS = st.lists(
    st.builds(
        trial,
        st.sampled_from([True, False, None]),
        st.integers(0, 100),
        st.sampled_from([0.1, 0.5, 1.0]),
        st.sampled_from(TYPES),
    ),
    max_size=20,
)


@given(
    trials=TRIALS, held=st.booleans() | st.none(), size=st.sampled_from([0.1, 0.5, 1.0]), kind=st.sampled_from(TYPES)
)
def test_a_new_result_moves_the_score_in_its_own_direction(
    trials: list[Trial],
    held: bool | None,  # noqa: FBT001  generated
    size: float,
    kind: FaultType,
) -> None:
    """Held: never less, and at least its magnitude. Failed: never more. No verdict: nothing."""
    before = scored(*trials)
    after = scored(*trials, Trial(run="~", service=SERVICE, type=kind, at=NOW, magnitude=size, held=held))

    assert 0 <= after <= 100 + 1e-9
    if held is None:
        assert after == before
    elif held:
        assert after >= before - 1e-9
        assert after >= size * share(kind) - 1e-9
    else:
        assert after <= before + 1e-9


def test_the_trend_shows_what_was_known_then() -> None:
    found = with_trend(SERVICE, [trial(days=10), trial(held=False, days=1)], TYPES, NOW, weeks=2)

    assert [round(point.score, 2) for point in found.trend] == [
        0.0,
        round(share() * freshness(timedelta(days=3)), 2),
        0.0,
    ]
    assert [point.at for point in found.trend] == [NOW - timedelta(days=14), NOW - timedelta(days=7), NOW]


def test_what_needs_an_operator_counts_where_one_was_used() -> None:
    pod = "k8s/lab/shop/payments"
    by_operator = {(cluster_of("k8s/lab/other/web"), LATENCY)}

    assert set(possible_types(SERVICE, set())) == set(FaultType)
    assert LATENCY not in possible_types(pod, set())
    assert LATENCY in possible_types(pod, by_operator)
    assert LATENCY not in possible_types("k8s/another/shop/payments", by_operator)


def experiment(kind: str, parameters: dict[str, object], seconds: int = 60, **slo: object) -> Experiment:
    objective = {"name": "ok", "kind": "ratio", "source": "load", "objective": 99} | slo
    check = {"name": "up", "type": "tcp", "host": "127.0.0.1", "port": 1}
    return check_experiment(
        {
            "name": "x",
            "fault": {"type": kind, "parameters": parameters, "durationSeconds": seconds},
            "target": {"environment": "shop", "service": "payments"},
            "hypothesis": {"slos": [objective], "healthChecks": [check]},
            "load": {"url": "http://127.0.0.1:1/", "perSecond": 20},
            "durationSeconds": 60,
            "haltConditions": [{"slo": "ok", "above": 50}],
        }
    )


def test_an_easy_experiment_is_small() -> None:
    def size(kind: str, seconds: int = 60, /, **parameters: object) -> float:
        made = experiment(kind, parameters, seconds)
        return magnitude(made.faults[0], made.hypothesis)

    assert size("pod-kill") == 1
    assert size("pod-kill", once=True) == 0.5
    assert size("pod-kill", 6) == pytest.approx(0.1)
    assert size("network-latency", latencyMs=3) == pytest.approx(0.01)
    assert size("network-latency", latencyMs=9000) == 1
    assert size("network-packet-loss", percent=5) == 0.25
    assert size("cpu-stress", loadPercent=20, workers=2) == 0.5
    assert size("memory-stress", megabytes=64) == 0.25
    assert size("disk-io-stress", megabytes=16, workers=2) == 0.5
    assert size("exception-injection", percent=5) == pytest.approx(0.1)
    assert size("network-partition") == 1


@pytest.mark.parametrize(
    ("slo", "rigour"),
    [({}, 1.0), ({"tolerancePercent": 950}, 0.5), ({"objective": 15}, 0.5), ({"tolerancePercent": 200}, 1.0)],
)
def test_a_hypothesis_that_promises_nothing_earns_what_its_health_checks_do(
    slo: dict[str, object], rigour: float
) -> None:
    made = experiment("pod-kill", {}, **slo)

    assert magnitude(made.faults[0], made.hypothesis) == rigour
    lax = replace(made.hypothesis.health_checks[0], failures=100)
    assert magnitude(made.faults[0], replace(made.hypothesis, slos=(), health_checks=(lax,))) == 0
