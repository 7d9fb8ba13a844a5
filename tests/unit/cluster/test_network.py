"""The network policy of an attempt: the name server, the targets of its request, and nothing else."""

from typing import Any

from cluster.kubernetes.canary import Enforcement, _judged
from cluster.kubernetes.network import NAME_SERVER, policy_of
from model.network import Network, NetworkTarget

LABELS = {"assay.internal/execution": "1"}


def egress(*targets: NetworkTarget) -> Any:
    made: Any = policy_of("p", LABELS, Network(targets=targets))
    assert made["spec"]["podSelector"] == {"matchLabels": LABELS}
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in made["spec"], "nobody may connect to a test"
    first, *rules = made["spec"]["egress"]
    assert first == NAME_SERVER
    return rules


def test_without_targets_there_is_no_policy_of_its_own() -> None:
    assert policy_of("p", LABELS, Network()) is None


def test_addresses_are_allowed_on_their_ports_by_both_protocols() -> None:
    [rule] = egress(NetworkTarget(cidr="10.20.0.0/16", ports=(443,)))

    assert rule["to"] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}, {"protocol": "UDP", "port": 443}]


def test_all_addresses_are_never_those_that_hand_out_credentials() -> None:
    four, six = egress(NetworkTarget(cidr="0.0.0.0/0"), NetworkTarget(cidr="::/0"))

    assert four["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
    assert six["to"][0]["ipBlock"]["except"] == ["fe80::/10"]


def test_pods_are_those_of_the_own_namespace_unless_others_are_named() -> None:
    own, other = egress(
        NetworkTarget(pod_labels={"app": "shop"}),
        NetworkTarget(pod_labels={"app": "shop"}, namespace_labels={"env": "staging"}),
    )

    assert own["to"] == [{"podSelector": {"matchLabels": {"app": "shop"}}}]
    assert other["to"][0]["namespaceSelector"] == {"matchLabels": {"env": "staging"}}
    assert "ports" not in own


def test_policies_are_enforced_only_if_one_pod_connects_and_the_other_does_not() -> None:
    seen = {(allowed, denied): _judged(allowed=allowed, denied=denied).enforcement
            for allowed in (True, False) for denied in (True, False)}  # fmt: skip

    assert seen == {
        (True, False): Enforcement.ENFORCED,
        (True, True): Enforcement.IGNORED,
        (False, False): Enforcement.UNKNOWN,
        (False, True): Enforcement.UNKNOWN,
    }
