"""Says what a cluster lacks before tests can run there, and how to get it. It blocks: call it from a thread."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from cluster.backend import UnavailableError
from cluster.backend_factory import ClusterSettings
from cluster.kubernetes import canary, node_facts
from cluster.kubernetes.access import access_of
from cluster.kubernetes.api_objects import AccessReview, ApiNamespace, ApiVersion, NodeList
from cluster.kubernetes.canary import Enforcement
from cluster.kubernetes.connection import FORBIDDEN, ApiError, ClusterAccess, Connection

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ENFORCE = "pod-security.kubernetes.io/enforce"
IN_NAMESPACE = (
    ("pods", ("create", "get", "list", "watch", "patch", "delete")),
    ("pods/exec", ("create", "get")),
    ("pods/log", ("get",)),
    ("events", ("list",)),
    ("secrets", ("create", "get", "patch", "delete")),
    ("networkpolicies", ("create", "get", "patch", "delete")),
)
GROUPS = {"networkpolicies": "networking.k8s.io"}
EVERYWHERE = (("nodes", ("list", "watch")), ("pods", ("list", "watch")))
MANIFEST = "deploy/kubernetes/rbac.yaml"
POLICY = "deploy/kubernetes/network-policy.yaml"
UNPERMITTED = " cannot create resource "
DEFAULT_DENY = "assay-default-deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: whether it is as it has to be, and in words what was found or has to be done."""

    what: str
    fine: bool
    words: str


def check_cluster(wanted: ClusterSettings) -> list[Finding]:
    """Look at everything that a run needs in a cluster."""
    return check(access_of(wanted))


def check(access: ClusterAccess) -> list[Finding]:
    """Look at everything that a run needs. Where the server cannot be reached, that is the only finding."""
    connection = Connection(access)
    try:
        return [
            Finding(what="connection", fine=True, words=f"the API server answers: {_version(connection)}"),
            *_namespace(connection),
            *_permissions(connection),
            *_nodes(connection),
            *_image_and_network(connection),
        ]
    except (UnavailableError, ApiError, ValidationError) as failed:
        return [Finding(what="connection", fine=False, words=str(failed))]
    finally:
        connection.close()


def _version(connection: Connection) -> str:
    return ApiVersion.model_validate_json(connection.get("/version")).git_version


def _namespace(connection: Connection) -> Iterator[Finding]:
    name = connection.access.namespace
    try:
        data = connection.find(f"/api/v1/namespaces/{name}")
    except ApiError as refused:
        if refused.status != FORBIDDEN:
            raise
        yield Finding(what="namespace", fine=False, words=f"{refused.message}: see {MANIFEST}")
        return
    if data is None:
        words = f"there is no namespace {name}: kubectl create namespace {name}"
        yield Finding(what="namespace", fine=False, words=words)
        return
    yield Finding(what="namespace", fine=True, words=f"{name} exists")
    level = ApiNamespace.model_validate_json(data).metadata.labels.get(ENFORCE, "privileged")
    command = f"kubectl label namespace {name} {ENFORCE}=restricted --overwrite"
    fine = level == "restricted"
    words = "the namespace takes only restricted pods" if fine else f"the namespace takes {level} pods: {command}"
    yield Finding(what="policy", fine=fine, words=words)


def _permissions(connection: Connection) -> Iterator[Finding]:
    for namespace, rules in ((connection.access.namespace, IN_NAMESPACE), ("", EVERYWHERE)):
        for resource, verbs in rules:
            missing = [verb for verb in verbs if not _allowed(connection, namespace, resource, verb)]
            where = f"in namespace {namespace}" if namespace else "in all namespaces"
            words = f"may {', '.join(verbs)} {resource} {where}"
            if missing:
                words = f"may not {', '.join(missing)} {resource} {where}: see {MANIFEST}"
            yield Finding(what="permission", fine=not missing, words=words)


def _allowed(connection: Connection, namespace: str, resource: str, verb: str) -> bool:
    name, _, subresource = resource.partition("/")
    asked = {"namespace": namespace, "resource": name, "subresource": subresource, "verb": verb}
    asked |= {"group": GROUPS[name]} if name in GROUPS else {}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    data = connection.create(REVIEWS, body | {"spec": {"resourceAttributes": asked}})
    return data is not None and AccessReview.model_validate_json(data).status.allowed


def _image_and_network(connection: Connection) -> Iterator[Finding]:
    """Try out whether the image runs, and whether network policies have an effect, if the row requires that."""
    required = connection.access.network_required
    try:
        found = canary.look(connection)
    except ApiError as refused:
        if UNPERMITTED not in refused.message:  # a permission is among the findings
            words = f"no pod can be made to try the image: {refused.message}"
            yield Finding(what="image", fine=False, words=words)
        return
    except canary.ImageError as failed:
        yield Finding(what="image", fine=False, words=f"{failed}: assay cluster add ... --image, with another one")
        return
    except UnavailableError as failed:
        yield Finding(what="network", fine=not required, words=str(failed))
        return
    yield Finding(what="image", fine=True, words=f"{connection.access.image} runs, and has python3")
    enforced = found.enforcement is Enforcement.ENFORCED
    words = found.words
    if enforced and not _denies_by_default(connection):
        words += f", but a test without targets may connect anywhere: kubectl apply -f {POLICY}"
    if required and not enforced:
        words += "; so no test starts here, since the row of this cluster requires them"
    yield Finding(what="network", fine=enforced or not required, words=words)


def _denies_by_default(connection: Connection) -> bool:
    place = f"/apis/networking.k8s.io/v1/namespaces/{connection.access.namespace}/networkpolicies"
    return connection.find(f"{place}/{DEFAULT_DENY}") is not None


def _nodes(connection: Connection) -> Iterator[Finding]:
    try:
        listed = NodeList.model_validate_json(connection.get("/api/v1/nodes"))
    except ApiError:
        return  # the permission is among the findings
    found = node_facts.nodes_of(listed.items, (), connection.access.name, connection.access.gpu)
    ready = [node for node in found if node.ready]
    words = f"{len(ready)} of {len(found)} nodes are ready"
    yield Finding(what="nodes", fine=bool(ready), words=words)
