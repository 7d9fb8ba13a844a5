"""Graphs, targets, the blast radius, and safety checks."""

from datetime import timedelta
from typing import Any

import pytest
from harness.chaos_readings import NOON

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.graph import Edge, Series, ServiceGraph, from_csv, from_depends_on, from_istio, graph_of, istio_query
from chaos.safety import Answer, Observation, Outcome, SafetyCheck, Severity, decide
from chaos.targets import Candidate, Resolution, Target, grown, is_opted_in, resolve
from model.problems import InvalidError

SHOP = from_depends_on({"orders": ["inventory", "payments"], "inventory": [], "payments": []})
RATES = graph_of(
    [
        Edge(caller="gateway", callee="orders", rate=10.0),
        Edge(caller="orders", callee="payments", rate=10.0),
        Edge(caller="orders", callee="inventory", rate=20.0),
    ]
)


def experiment(target: dict[str, Any] | None = None, **radius: Any) -> Experiment:
    return check_experiment(
        {
            "name": "x",
            "fault": {"type": "pod-kill"},
            "target": target or {"environment": "shop", "service": "payments"},
            "hypothesis": {"healthChecks": [{"name": "h", "type": "tcp", "host": "localhost", "port": 1}]},
            "durationSeconds": 60,
            "haltConditions": [{"healthCheck": "h"}],
            "blastRadius": radius,
            "safetyChecks": {
                name: {"none": "not in this test"}
                for name in ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
            },
        }
    )


def candidate(name: str, service: str = "payments", place: str = "shop", **facts: Any) -> Candidate:
    target = Target(place=place, service=service, name=name, identity=f"uid-{name}")
    return Candidate(target=target, **{"opted_in": True, **facts})


def problems(result: Resolution) -> str:
    return " | ".join(result.problems)


def test_the_targets_are_named_and_their_callers_found() -> None:
    result = resolve(experiment(), [candidate("payments-1"), candidate("orders-1", "orders")], SHOP)

    assert result.allowed
    assert [target.name for target in result.targets] == ["payments-1"]
    assert result.claims == ("orders", "payments")


def test_an_empty_target_is_refused() -> None:
    result = resolve(experiment(), [candidate("orders-1", "orders")], SHOP)

    assert problems(result) == "no target matches local/shop/payments; shop has orders"


@pytest.mark.parametrize(
    ("radius", "said"),
    [
        ({}, "3 targets match; blastRadius.maxTargets allows 1"),
        ({"maxTargets": 3, "maxPercent": 50.0}, "3 of 3 targets is more than blastRadius.maxPercent, 50%"),
        ({"maxTargets": 3, "maxTrafficPercent": 50.0}, "the rates of requests are unknown"),
    ],
)
def test_more_than_the_blast_radius_is_refused(radius: dict[str, Any], said: str) -> None:
    result = resolve(experiment(**radius), [candidate(f"payments-{n}") for n in range(3)], SHOP)

    assert said in problems(result)


def test_some_of_the_targets_are_chosen_by_name() -> None:
    some = experiment({"environment": "shop", "service": "payments", "count": 1}, maxPercent=34.0)

    result = resolve(some, [candidate(f"payments-{n}") for n in (3, 1, 2)], SHOP)

    assert [target.name for target in result.targets] == ["payments-1"]
    assert result.allowed


def test_a_share_of_the_traffic_is_computed_from_rates_and_replicas() -> None:
    some = experiment({"environment": "shop", "service": "payments", "count": 1}, maxTrafficPercent=12.0)

    result = resolve(some, [candidate("payments-1"), candidate("payments-2")], RATES)

    assert result.traffic_share == pytest.approx(10 / 40 / 2)
    assert "12.5% of all requests" in problems(result)


def test_who_has_not_opted_in_is_no_target() -> None:
    assert "has not opted in" in problems(resolve(experiment(), [candidate("p", opted_in=False)], SHOP))


def test_our_own_control_plane_is_no_target() -> None:
    assert "belongs to Assay itself" in problems(resolve(experiment(), [candidate("p", ours=True)], SHOP))


def test_a_pod_in_a_protected_namespace_is_no_target_even_if_it_is_labelled() -> None:
    target = {"cluster": "c", "namespace": "shop", "service": "payments"}
    moved = Candidate(target=Target(place="kube-system", service="payments", name="p", identity="u"), opted_in=True)

    assert "no target matches" in problems(resolve(experiment(target), [moved], SHOP))


def test_the_label_of_a_pod_goes_before_that_of_its_namespace() -> None:
    allowed, refused = {"assay.dev/chaos": "allowed"}, {"assay.dev/chaos": "refused"}

    assert is_opted_in({}, allowed)
    assert not is_opted_in(refused, allowed)
    assert not is_opted_in({}, {})


def test_more_callers_at_the_injection_than_at_the_admission_is_growth() -> None:
    before = resolve(experiment(), [candidate("payments-1")], SHOP)
    later = resolve(
        experiment(), [candidate("payments-1")], from_depends_on({"x": ["payments"], "orders": ["payments"]})
    )

    assert grown(before, later)
    assert not grown(before, before)


def test_without_edges_the_whole_environment_is_the_chain() -> None:
    graph = ServiceGraph(services=("a", "b", "c"), edges=())

    assert graph.callers("a") == ("b", "c")
    assert not graph.known


def test_callers_are_found_through_others_and_in_circles() -> None:
    graph = graph_of([Edge(caller="a", callee="b"), Edge(caller="b", callee="c"), Edge(caller="c", callee="a")])

    assert graph.callers("c") == ("a", "b")
    assert graph.callers("nobody") == ()


def test_a_csv_is_a_graph() -> None:
    graph = from_csv("caller,callee,calls\norders,payments,10\norders,payments,5\norders,inventory,\n")

    assert graph.rate_of("payments") == 15
    assert graph.rate_of("inventory") is None
    assert graph.share_of("payments") is None


def test_a_bad_csv_is_refused_with_every_line() -> None:
    with pytest.raises(InvalidError) as refused:
        from_csv("caller,callee,calls\na,b,x\n,b,1\na,b,-1\n")

    assert [problem.path for problem in refused.value.problems] == ["line 2", "line 3", "line 4"]


def test_istio_tells_who_was_called_also_where_nobody_answers() -> None:
    labels = {"source_canonical_service": "orders", "destination_canonical_service": "unknown"}
    series = [
        Series(labels={**labels, "destination_service_name": "payments"}, value=3.0),
        Series(labels={**labels, "source_canonical_service": "unknown"}, value=9.0),
    ]

    assert from_istio(series).edges == (Edge(caller="orders", callee="payments", rate=3.0),)
    assert 'reporter=~"source|waypoint"' in istio_query("shop")


def check(**change: Any) -> SafetyCheck:
    known = {"name": "activeIncidents", "severity": Severity.BLOCK, "connection": "pagerduty", "none": None}
    return SafetyCheck(**{**known, "stale_after": timedelta(seconds=60), "within": timedelta(minutes=30), **change})


def observed(answer: Answer = Answer.SAFE, *, took: float = 0.1, age: float | None = 1.0) -> Observation:
    known_at = None if age is None else NOON - timedelta(seconds=age)
    return Observation(
        check="activeIncidents",
        answer=answer,
        sentence="0 incidents",
        asked_at=NOON,
        took=timedelta(seconds=took),
        known_at=known_at,
    )


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        ([observed()], Outcome.PASSED),
        ([observed(Answer.UNSAFE)], Outcome.BLOCKED),
        ([observed(Answer.UNREACHABLE)], Outcome.BLOCKED),
        ([observed(took=5.1)], Outcome.BLOCKED),
        ([observed(age=61)], Outcome.BLOCKED),
        ([observed(age=None)], Outcome.BLOCKED),
        ([observed(age=-3600)], Outcome.BLOCKED),
        ([], Outcome.BLOCKED),
    ],
)
def test_a_safety_check_fails_closed(seen: list[Observation], outcome: Outcome) -> None:
    record = decide((check(),), tuple(seen), NOON)

    assert record.lines[0].outcome is outcome
    assert record.allowed == (outcome is Outcome.PASSED)


def test_a_warning_does_not_block_and_none_shows_its_reason() -> None:
    record = decide((check(severity=Severity.WARN), check(name="onCall", none="a laptop")), (), NOON)

    assert record.allowed
    assert [line.outcome for line in record.lines] == [Outcome.WARNED, Outcome.NOT_MADE]
    assert record.lines[1].sentence == "a laptop"
    assert record.reasons == ()
