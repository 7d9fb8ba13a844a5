"""Network policies of pods, as bodies of requests: pure functions.

The policy of an attempt allows its pod the name server and the targets of its request, and denies everything else in
both directions. It has an effect only where the network plugin of the cluster enforces policies; see `canary`.
Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

from model.forms import LINK_LOCAL
from model.network import Network, NetworkTarget

Body = dict[str, object]

NAME_SERVER: Body = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
PROTOCOLS = ("TCP", "UDP")


def policy(name: str, labels: Mapping[str, str], egress: Sequence[Body]) -> Body:
    """Return a policy for the pods with these labels: nobody may connect to them, and they only as `egress` allows."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "podSelector": {"matchLabels": dict(labels)},
            "policyTypes": ["Ingress", "Egress"],
            "egress": list(egress),
        },
    }


def policy_of(name: str, labels: Mapping[str, str], network: Network) -> Body | None:
    """Return the policy of an attempt, None where its request names no targets: then that of the namespace holds."""
    if not network.targets:
        return None
    return policy(name, labels, [NAME_SERVER, *map(_rule, network.targets)])


def _rule(target: NetworkTarget) -> Body:
    rule: Body = {"to": [_peer(target)]}
    if target.ports:
        rule["ports"] = [{"protocol": name, "port": port} for port in target.ports for name in PROTOCOLS]
    return rule


def _peer(target: NetworkTarget) -> Body:
    if target.cidr is not None:
        return {"ipBlock": _block(target.cidr)}
    peer: Body = {"podSelector": {"matchLabels": dict(target.pod_labels)}}
    if target.namespace_labels:
        peer["namespaceSelector"] = {"matchLabels": dict(target.namespace_labels)}
    return peer


def _block(cidr: str) -> Body:
    """Return a block without the addresses inside of it at which clouds hand out the credentials of a node."""
    network = ip_network(cidr)
    inside = [str(other) for other in LINK_LOCAL if other.version == network.version and other.subnet_of(network)]  # type: ignore[arg-type]
    return {"cidr": cidr} | ({"except": inside} if inside else {})
