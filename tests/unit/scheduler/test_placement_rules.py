"""Rules about other runs (anti-affinity, spread), profiles, and how many candidates there are."""

from types import SimpleNamespace
from typing import Any

import pytest

from model.config import Toleration, TolerationOperator
from model.resources import Resources
from scheduler.admission.plan import plan
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.place import place
from scheduler.placement.placement import nominate
from scheduler.placement.score import Score
from scheduler.values.pool import (
    BEST_FIT,
    DEFAULT_PROFILE,
    ORIGINAL,
    PROFILES,
    SPREAD,
    PoolSettings,
    Profile,
    profile_named,
)
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Apart, Constraints, Labels, Shape, Spread

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
WEB: Labels = (("app", "web"),)
WEB_BLUE: Labels = (("app", "web"), ("colour", "blue"))


def zoned(make: SimpleNamespace, zones: str, **given: Any) -> NodeUsage:
    """Nodes n0, n1, ... in the given zones; '-' is none."""
    return NodeUsage(make.node(i, labels={} if zone == "-" else {ZONE: zone}, **given) for i, zone in enumerate(zones))


def put(fleet: NodeUsage, constraints: Constraints, labels: Labels | None = None, **limits: Any) -> Any:
    """Place a run of 1000m."""
    ask = Ask(shape=Shape(Resources(cpu_milli=1000), constraints), limits=PoolSettings(**limits), labels=labels)
    return place(fleet, ask, SimpleNamespace(int=7))


def names(placed: tuple[Score, ...] | Reason) -> set[str]:
    return set() if isinstance(placed, Reason) else {score.node for score in placed}


def apart(labels: Labels = WEB, topology: str = ZONE) -> Constraints:
    return Constraints(apart=(Apart(topology=topology, labels=labels),))


def spread(max_skew: int = 1, topology: str = ZONE, **given: Any) -> Constraints:
    return Constraints(spread=(Spread(topology=topology, labels=WEB, max_skew=max_skew),), **given)


def take(fleet: NodeUsage, *nodes: str, labels: Labels = WEB, cpu: int = 0, times: int = 1) -> None:
    for node in nodes:
        fleet.take(node, Resources(cpu_milli=cpu), times, labels)


def test_runs_are_kept_apart_by_the_domain_of_the_others(make: SimpleNamespace) -> None:
    """All labels of the rule must be on one run; a node outside all domains is not restricted."""
    fleet = zoned(make, "aabc-")
    take(fleet, "n0", labels=WEB_BLUE)
    take(fleet, "n2", labels=(("colour", "blue"),))
    take(fleet, "n4")

    assert names(put(fleet, apart())) == {"n2", "n3", "n4"}
    assert names(put(fleet, apart(WEB_BLUE))) == {"n2", "n3", "n4"}
    assert names(put(fleet, apart((("colour", "blue"),)))) == {"n3", "n4"}
    assert names(put(fleet, Constraints())) == {"n0", "n1", "n2", "n3", "n4"}


def test_the_host_is_the_node_itself_even_without_the_label(make: SimpleNamespace) -> None:
    fleet = zoned(make, "aa-")
    take(fleet, "n0", "n2")

    assert names(put(fleet, apart(topology=HOST))) == {"n1"}


def test_a_run_that_is_gone_keeps_nobody_away(make: SimpleNamespace) -> None:
    fleet = zoned(make, "ab")
    take(fleet, "n0", "n0", "n1")
    take(fleet, "n0", times=-1)
    assert names(put(fleet, apart())) == set()

    take(fleet, "n0", times=-1)

    assert names(put(fleet, apart())) == {"n0"}


def test_a_pool_knows_the_labels_of_who_runs(make: SimpleNamespace) -> None:
    """From the start of a run to its end, also when the nodes are seen anew in between."""
    nodes = [make.node(i, labels={ZONE: zone}) for i, zone in enumerate("ab")]
    state = make.state([], nodes=nodes, holding=[make.running(0, labels=WEB)])
    assert names(put(state.node_usage, apart())) == {"n1"}

    state.see(nodes)
    assert names(put(state.node_usage, apart())) == {"n1"}

    state.end(make.run_id(0))
    assert names(put(state.node_usage, apart())) == {"n0", "n1"}


def test_a_copy_of_a_fleet_knows_its_own_runs_only(make: SimpleNamespace) -> None:
    fleet = zoned(make, "abc")
    take(fleet, "n0")
    twin = fleet.copy()
    take(fleet, "n0", times=-1)
    take(twin, "n1")
    take(fleet, "n2")

    assert names(put(twin, apart())) == {"n2"}
    assert names(put(fleet, apart())) == {"n0", "n1"}


def test_a_run_kept_apart_is_told_from_whom(make: SimpleNamespace) -> None:
    fleet = zoned(make, "aab")
    take(fleet, "n0", "n0")
    take(fleet, "n2", cpu=4000)

    placed = put(fleet, apart())

    assert placed.code is Code.APART
    assert str(placed) == f"node n0 has room, but {ZONE} a has 2 runs with app=web to keep apart from"


def test_without_room_anywhere_the_rule_is_not_the_reason(make: SimpleNamespace) -> None:
    fleet = zoned(make, "ab")
    take(fleet, "n0", "n1", cpu=4000)

    assert put(fleet, apart()).code is Code.BUSY


@pytest.mark.parametrize(
    ("max_skew", "found"),
    [(1, {"n2"}), (2, {"n1", "n2"}), (3, {"n0", "n1", "n2"})],
)
def test_runs_are_spread_over_domains(make: SimpleNamespace, max_skew: int, found: set[str]) -> None:
    """With 2, 1 and 0 runs in three zones. A node without the label is out."""
    fleet = zoned(make, "abc-")
    take(fleet, "n0", "n0", "n1")

    assert names(put(fleet, spread(max_skew))) == found


def test_a_run_that_does_not_count_itself_may_go_where_the_skew_is_used_up(make: SimpleNamespace) -> None:
    fleet = zoned(make, "ab")
    take(fleet, "n0")

    assert names(put(fleet, spread())) == {"n1"}
    assert names(put(fleet, spread(), labels=WEB_BLUE)) == {"n1"}
    assert names(put(fleet, spread(), labels=())) == {"n0", "n1"}


def test_only_domains_that_the_run_could_use_are_compared(make: SimpleNamespace) -> None:
    """Zone c has no run, but no node that is ready either; the runs of its cordoned node do count in zone b."""
    nodes = [make.node(0, labels={ZONE: "a"}), make.node(1, labels={ZONE: "b"})]
    nodes += [make.node(2, labels={ZONE: "b"}, ready=False), make.node(3, labels={ZONE: "c"}, ready=False)]
    fleet = NodeUsage(nodes)
    take(fleet, "n0")
    assert names(put(fleet, spread())) == {"n1"}

    take(fleet, "n2", "n2")

    assert names(put(fleet, spread())) == {"n0"}


def test_a_run_that_must_be_spread_is_told_the_numbers(make: SimpleNamespace) -> None:
    fleet = zoned(make, "ab")
    take(fleet, "n0", "n0")
    take(fleet, "n1", labels=(), cpu=4000)

    placed = put(fleet, spread(2))

    assert placed.code is Code.SPREAD
    assert str(placed) == (
        f"node n0 has room, but {ZONE} a has 2 runs with app=web, b only 0; they may differ by 2 at most"
    )
    unlabelled = put(zoned(make, "-"), spread())
    assert str(unlabelled) == f"node n0 has room, but no label {ZONE}, by which runs with app=web are spread"


def test_two_rules_must_both_hold(make: SimpleNamespace) -> None:
    fleet = zoned(make, "aabb")
    take(fleet, "n0", "n1", "n2")
    rules = Constraints(apart=apart(topology=HOST).apart, spread=spread().spread)

    assert names(put(fleet, rules)) == {"n3"}


def test_a_node_that_others_close_is_not_kept_free(make: SimpleNamespace) -> None:
    fleet = zoned(make, "ab", cpu=1000)
    take(fleet, "n0", cpu=100)
    take(fleet, "n1", labels=(), cpu=900)
    ask = Ask(shape=Shape(Resources(cpu_milli=1000), apart()), limits=PoolSettings())

    assert nominate(fleet, ask, make.run_id(0), None) == "n1"
    assert nominate(fleet, ask, make.run_id(0), "n0") == "n1"
    take(fleet, "n1")
    assert nominate(fleet, ask, make.run_id(0), None) is None


def test_cordoned_nodes_take_nobody(make: SimpleNamespace) -> None:
    placed = put(NodeUsage([make.node(0, ready=False), make.node(1)]), Constraints())

    assert names(placed) == {"n1"}
    everything = Constraints(tolerations=(Toleration(operator=TolerationOperator.EXISTS),))
    assert str(put(NodeUsage([make.node(0, ready=False)]), everything)) == "the pool's only node is not ready"


@pytest.mark.parametrize(
    "labels",
    [
        {"spot": "true"},
        {"karpenter.sh/capacity-type": "spot"},
        {"eks.amazonaws.com/capacityType": "SPOT"},
        {"cloud.google.com/gke-spot": "true"},
        {"kubernetes.azure.com/scalesetpriority": "spot"},
    ],
)
def test_each_providers_word_for_spot_is_known(make: SimpleNamespace, labels: dict[str, str]) -> None:
    fleet = NodeUsage([make.node(0, labels=labels), make.node(1, labels=dict.fromkeys(labels, "no"))])

    assert names(put(fleet, Constraints())) == {"n1"}
    assert names(put(fleet, Constraints(), spot=True)) == {"n0", "n1"}


@pytest.mark.parametrize(
    ("profile", "order"),
    [(BEST_FIT, ["n0", "n1", "n2"]), (SPREAD, ["n2", "n1", "n0"])],
)
def test_best_fit_fills_and_spread_levels(make: SimpleNamespace, profile: Profile, order: list[str]) -> None:
    """The fullest node that still fits is first of one, last of the other; a full one is in neither."""
    fleet = zoned(make, "aaaa")
    for node, cpu in (("n0", 3000), ("n1", 2000), ("n3", 3500)):
        take(fleet, node, labels=(), cpu=cpu)

    placed = put(fleet, Constraints(), profile=profile)

    assert [score.node for score in placed] == order


@pytest.mark.parametrize(
    ("profile", "terms", "total"),
    [
        (DEFAULT_PROFILE, (0.5, 0.535714, 0.75), (0.4 * 0.5 + 0.3 * 0.535714 + 0.2 + 0.1 * 0.5 + 0.1 * 0.75) / 1.1),
        (SPREAD, (0.5, 0.535714, 0.75), 0.8 * 0.5 + 0.2),
        (BEST_FIT, (0.5, 0.535714, 0.75), 0.8 * 0.5 + 0.2),
        (ORIGINAL, (3.0, 0.425, 0.0), 0.4 * 3.0 + 0.3 * 0.425 + 0.2 + 0.05),
    ],
)
def test_each_profile_adds_up_its_terms(
    make: SimpleNamespace, profile: Profile, terms: tuple[float, float, float], total: float
) -> None:
    """1000m of 4000m are used; 1000m and 2Gi of 8Gi are asked for. The original looks before, the others after."""
    fleet = zoned(make, "a")
    take(fleet, "n0", cpu=1000)
    ask = Ask(shape=Shape(Resources(cpu_milli=1000, memory_bytes=2 * make.GI)), limits=PoolSettings(profile=profile))

    [score] = place(fleet, ask, make.run_id(0))

    assert (score.free, score.utilisation, score.balance) == terms
    assert score.total == pytest.approx(total, abs=2e-6)
    assert (score.affinity, score.spot) == (1.0, 0.5)


def test_best_fit_looks_at_the_scarcest_resource(make: SimpleNamespace) -> None:
    """A node without memory to spare is full, however much CPU it has."""
    fleet = zoned(make, "aa")
    take(fleet, "n0", labels=(), cpu=2000)
    fleet.take("n1", Resources(memory_bytes=7 * make.GI))

    placed = put(fleet, Constraints(), profile=BEST_FIT)

    assert [(score.node, score.free) for score in placed] == [("n1", 0.125), ("n0", 0.25)]


def test_profiles_are_chosen_by_name() -> None:
    assert list(PROFILES) == ["default", "original", "best-fit", "spread"]
    assert [profile_named(name) for name in PROFILES] == [DEFAULT_PROFILE, ORIGINAL, BEST_FIT, SPREAD]
    with pytest.raises(ValueError, match="no profile 'tight'; choose one of default, original, best-fit, spread"):
        profile_named("tight")


@pytest.mark.parametrize(
    "weights", [(-0.1, 1.0, 1.0, 1.0, 1.0), (float("nan"), 1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0, 0.0)]
)
def test_weights_that_cannot_be_are_refused(weights: tuple[float, float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="profile odd: weights must be 0 or more"):
        Profile(name="odd", weights=weights)


@pytest.mark.parametrize("candidates", [2, 3, 5])
def test_the_pool_says_how_many_candidates_there_are(make: SimpleNamespace, candidates: int) -> None:
    assert len(put(zoned(make, "aaaaaaa"), Constraints(), candidates=candidates)) == candidates
    assert len(put(zoned(make, "a"), Constraints(), candidates=candidates)) == 1


def test_runs_that_start_in_one_pass_keep_apart_too(make: SimpleNamespace) -> None:
    nodes = [make.node(i, labels={ZONE: zone}) for i, zone in enumerate("aab")]
    waiting = [make.queued(number, constraints=apart(), labels=WEB) for number in range(3)]

    first, second, third = plan(make.state(waiting, nodes=nodes), make.NOON)

    zones = {node.name: node.labels[ZONE] for node in nodes}
    assert {zones[first.node], zones[second.node]} == {"a", "b"}
    assert third.reason.code is Code.APART


def test_an_aged_run_has_a_node_drained_where_its_rule_lets_it_go(make: SimpleNamespace) -> None:
    """Zone b is full of small runs, zone a closed by the spread: the next small run does not take what b gives back."""
    nodes = [make.node(i, cpu=2000, labels={ZONE: zone}) for i, zone in enumerate("ab")]
    holding = [make.running(90, cpu=100, labels=WEB), make.running(91, cpu=1500, node="n1")]
    aged = make.queued(0, cpu=1000, constraints=spread(), labels=WEB, minutes=420)
    small = make.queued(1, cpu=400, constraints=Constraints(node_selector=((ZONE, "b"),)))

    decisions = plan(make.state([aged, small], nodes=nodes, holding=holding), make.NOON)

    assert [decision.reason.code for decision in decisions] == [Code.SPREAD, Code.RESERVED]
    assert decisions[0].nominated == "n1"
