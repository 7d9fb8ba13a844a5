"""Says what a cluster lacks before tests can run there, and how to get it. It blocks: call it from a thread."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from cluster.backend import UnavailableError
from cluster.backend_factory import ClusterSettings
from cluster.kubernetes import node_facts
from cluster.kubernetes.access import access_of
from cluster.kubernetes.api_objects import AccessReview, ApiNamespace, ApiVersion, NodeList
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ENFORCE = "pod-security.kubernetes.io/enforce"
IN_NAMESPACE = (
    ("pods", ("create", "get", "list", "watch", "patch", "delete")),
    ("pods/exec", ("create", "get")),
    ("secrets", ("create", "get", "patch", "delete")),
)
EVERYWHERE = (("nodes", ("list",)), ("pods", ("list",)))
MANIFEST = "deploy/kubernetes/rbac.yaml"


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
        ]
    except (UnavailableError, ApiError, ValidationError) as failed:
        return [Finding(what="connection", fine=False, words=str(failed))]
    finally:
        connection.close()


def _version(connection: Connection) -> str:
    return ApiVersion.model_validate_json(connection.get("/version")).git_version


def _namespace(connection: Connection) -> Iterator[Finding]:
    name = connection.access.namespace
    data = connection.find(f"/api/v1/namespaces/{name}")
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
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    data = connection.create(REVIEWS, body | {"spec": {"resourceAttributes": asked}})
    return data is not None and AccessReview.model_validate_json(data).status.allowed


def _nodes(connection: Connection) -> Iterator[Finding]:
    try:
        listed = NodeList.model_validate_json(connection.get("/api/v1/nodes"))
    except ApiError:
        return  # the permission is among the findings
    found = node_facts.nodes_of(listed.items, (), connection.access.name, connection.access.gpu)
    ready = [node for node in found if node.ready]
    words = f"{len(ready)} of {len(found)} nodes are ready"
    yield Finding(what="nodes", fine=bool(ready), words=words)
