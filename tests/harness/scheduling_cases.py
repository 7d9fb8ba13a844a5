"""Generated nodes and pods, by which our filter is compared with kube-scheduler. A pure function of a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.fake_nodes import POD_SECURITY, SECURITY, TAINT, FakeNode
from model.config import (
    Affinity,
    Effect,
    ExecutionConfig,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Operator,
    Toleration,
    TolerationOperator,
)
from model.resources import ResourceRequirements

KEYS = ("zone", "disk", "gen", "assay-tests/note")
VALUES = ("a", "b", "3", "7", "12", "1_0", "007", "x3", "")
"""Some are integers as Kubernetes reads them, some only look like it: `1_0` is one for Python."""
TAINT_KEYS = ("dedicated", "assay-tests/old", "node.kubernetes.io/unschedulable")
TAINT_VALUES = ("", "a", "b")
GPU = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pod, and the nodes on which it is tried."""

    resources: ResourceRequirements
    config: ExecutionConfig
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Nodes with what others run there, and rounds of cases; no two cases of a round share a node."""

    nodes: Sequence[FakeNode]
    fillers: Sequence[dict[str, Any]]
    rounds: Sequence[Sequence[Case]]


def world(seed: int, prefix: str, nodes: int = 100, rounds: int = 4, per_case: int = 4) -> World:
    """Return a world."""
    dice = Random(seed)
    made = [_node(dice, f"{prefix}-{number:03d}") for number in range(nodes)]
    names = [node.name for node in made]
    fillers = [_filler(dice, f"f{number}", dice.choice(names)) for number in range(nodes * 3 // 2)]
    cases = []
    for _ in range(rounds):
        dice.shuffle(names)
        groups = [tuple(names[at : at + per_case]) for at in range(0, nodes, per_case)]
        cases.append([_case(dice, group) for group in groups])
    return World(nodes=made, fillers=fillers, rounds=cases)


def _node(dice: Random, name: str) -> FakeNode:
    allocatable = {
        "cpu": dice.choice(("1", "2", "3900m", "8")),
        "memory": dice.choice(("512Mi", "1Gi", "4Gi", "3500000Ki")),
        "pods": dice.choice(("1", "2", "3", "110")),
    }
    if dice.random() < 0.7:
        allocatable["ephemeral-storage"] = dice.choice(("1Gi", "10Gi"))
    if dice.random() < 0.3:
        allocatable[GPU] = dice.choice(("0", "1", "2"))
    labels = {key: dice.choice(VALUES) for key in KEYS if dice.random() < 0.6}
    taints = [
        {"key": key, "value": dice.choice(TAINT_VALUES), "effect": str(dice.choice(tuple(Effect)))}
        for key in TAINT_KEYS[:2]
        if dice.random() < 0.2
    ]
    cordoned = dice.random() < 0.1
    return FakeNode(name=name, allocatable=allocatable, labels=labels, taints=taints, unschedulable=cordoned)


def _filler(dice: Random, name: str, node: str) -> dict[str, Any]:
    """Return somebody else's pod: some have init containers, sidecars, or no requests at all."""
    spec: dict[str, Any] = {"nodeName": node, "restartPolicy": "Never", **POD_SECURITY}
    spec["containers"] = [_container(dice, f"c{number}") for number in range(dice.choice((1, 1, 2)))]
    init = []
    for number in range(dice.choice((0, 0, 1, 2))):
        sidecar = {"restartPolicy": "Always"} if dice.random() < 0.4 else {}
        init.append(_container(dice, f"i{number}") | sidecar)
    spec["initContainers"] = init
    tolerations = [{"operator": "Exists"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec | {"tolerations": tolerations},
    }


def _container(dice: Random, name: str) -> dict[str, Any]:
    requests = {}
    if dice.random() < 0.8:
        requests["cpu"] = dice.choice(("100m", "250m", "0.5", "1"))
    if dice.random() < 0.8:
        requests["memory"] = dice.choice(("64Mi", "256Mi", "100M", "1Gi"))
    if dice.random() < 0.2:
        requests["ephemeral-storage"] = "500Mi"
    return {"name": name, "image": "none.invalid/none", "resources": {"requests": requests}, **SECURITY}


def _case(dice: Random, nodes: tuple[str, ...]) -> Case:
    resources = ResourceRequirements(
        cpu_request=dice.choice(("1m", "100m", "500m", "1", "1900m", "4")),
        memory_request=dice.choice(("32Mi", "128Mi", "500M", "1Gi", "2Gi")),
        ephemeral_storage=dice.choice((None, None, "100Mi", "1Gi", "5Gi")),
        gpu_request=dice.choice((0, 0, 0, 0, 1, 2)),
    )
    required = tuple(_term(dice) for _ in range(dice.choice((0, 0, 1, 1, 2))))
    selector = {key: dice.choice(VALUES) for key in KEYS if dice.random() < 0.08}
    ours = Toleration(key=TAINT["key"], operator=TolerationOperator.EXISTS)
    tolerations = (ours, *(_toleration(dice) for _ in range(dice.choice((0, 0, 1, 2, 3)))))
    config = ExecutionConfig(node_selector=selector, tolerations=tolerations, affinity=Affinity(required=required))
    return Case(resources=resources, config=config, nodes=nodes)


def _term(dice: Random) -> NodeSelectorTerm:
    return NodeSelectorTerm(match_expressions=tuple(_expression(dice) for _ in range(dice.choice((1, 1, 2)))))


def _expression(dice: Random) -> NodeSelectorRequirement:
    operator = dice.choice(tuple(Operator))
    if operator in {Operator.EXISTS, Operator.DOES_NOT_EXIST}:
        values: tuple[str, ...] = ()
    elif operator in {Operator.GT, Operator.LT}:
        values = (dice.choice(("0", "3", "5", "9", "10")),)
    else:
        values = tuple(dice.sample(VALUES, dice.choice((1, 2, 4))))
    return NodeSelectorRequirement(key=dice.choice(KEYS), operator=operator, values=values)


def _toleration(dice: Random) -> Toleration:
    effect = dice.choice((None, None, *Effect))
    if dice.random() < 0.1:
        return Toleration(operator=TolerationOperator.EXISTS, effect=effect)
    if dice.random() < 0.5:
        return Toleration(key=dice.choice(TAINT_KEYS), operator=TolerationOperator.EXISTS, effect=effect)
    return Toleration(key=dice.choice(TAINT_KEYS), value=dice.choice(TAINT_VALUES), effect=effect)
