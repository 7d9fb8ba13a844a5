"""Whether a pod may be a target now: looked at right before the injection. It blocks: call it from a thread."""

from collections.abc import Mapping

from chaos.target import OPT_IN_LABEL, OPT_IN_VALUE, is_protected
from chaos.targets import Target, is_opted_in
from cluster.faults.provider import InjectError
from cluster.kubernetes.api_objects import ApiNamespace, ApiObject, Meta, Pod
from cluster.kubernetes.connection import Connection

PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = "assay"


class PolicySelector(ApiObject):
    """Which pods a network policy is for."""

    match_labels: Mapping[str, str] = {}
    match_expressions: tuple[Mapping[str, object], ...] = ()


class PolicySpec(ApiObject):
    """What a network policy allows."""

    pod_selector: PolicySelector = PolicySelector()
    policy_types: tuple[str, ...] = ()
    ingress: tuple[Mapping[str, object], ...] = ()
    egress: tuple[Mapping[str, object], ...] = ()


class Policy(ApiObject):
    """A network policy."""

    metadata: Meta
    spec: PolicySpec


class PolicyList(ApiObject):
    """Network policies."""

    items: tuple[Policy, ...] = ()


def is_ours(pod: Pod) -> bool:
    """Say whether a pod belongs to Assay: no experiment may touch it."""
    return OURS in {pod.metadata.labels.get(PART_OF), pod.metadata.labels.get(MANAGED_BY)}


def checked(connection: Connection, target: Target) -> Pod:
    """Return the target's pod. Raises: InjectError with the reason, ApiError, UnavailableError."""
    where = f"{target.place}/{target.name}"
    if is_protected(target.place) or target.place == connection.access.namespace:
        raise InjectError(f"{where} is in a protected namespace: no experiment may aim at it")
    found = connection.find(f"/api/v1/namespaces/{target.place}/pods/{target.name}")
    pod = None if found is None else Pod.model_validate_json(found)
    if pod is None or pod.metadata.uid != target.identity:
        raise InjectError(f"{where} is another pod than the one that was resolved: resolve again")
    if is_ours(pod):
        raise InjectError(f"{where} belongs to Assay itself")
    space = ApiNamespace.model_validate_json(connection.get(f"/api/v1/namespaces/{target.place}"))
    if not is_opted_in(pod.metadata.labels, space.metadata.labels):
        raise InjectError(f"{where} has not opted in: label it or its namespace {OPT_IN_LABEL}={OPT_IN_VALUE}")
    return pod


def check_isolated(connection: Connection, pod: Pod, kinds: tuple[str, ...]) -> None:
    """Refuse a pod to which another policy allows something: policies only add. Raises: InjectError, ApiError."""
    place = f"/apis/networking.k8s.io/v1/namespaces/{pod.metadata.namespace}/networkpolicies"
    for policy in PolicyList.model_validate_json(connection.get(place)).items:
        spec = policy.spec
        allows = ("Ingress" in kinds and spec.ingress) or ("Egress" in kinds and spec.egress)
        selects = spec.pod_selector.match_labels.items() <= pod.metadata.labels.items()
        if allows and selects:  # an expression narrows it further: refusing too much is safe
            raise InjectError(
                f"the network policy {policy.metadata.name} allows {pod.metadata.name} traffic, and a policy of ours "
                "cannot take that away: policies only add"
            )
