"""The parts of the API server's objects that we read. All other fields are ignored."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ApiObject(BaseModel):
    """An object of the API: camelCase names, and fields that we do not know are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Meta(ApiObject):
    """The metadata of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()


class Terminated(ApiObject):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""


class Waiting(ApiObject):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Running(ApiObject):
    """A container runs."""


class ContainerState(ApiObject):
    """One of three is set; none while nothing is known."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(ApiObject):
    """The state of one container."""

    name: str
    state: ContainerState = ContainerState()


class Condition(ApiObject):
    """A condition of a pod or a node."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatus(ApiObject):
    """What the kubelet says about a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = Field(default="", alias="podIP")
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class ContainerResources(ApiObject):
    """What a container requests, as quantities."""

    requests: Mapping[str, str] = {}


class Container(ApiObject):
    """A container of a pod. An init container with the restart policy Always is a sidecar."""

    name: str
    image: str = ""
    resources: ContainerResources = ContainerResources()
    restart_policy: str | None = None


class SchedulingGate(ApiObject):
    """Something that keeps a pod from being scheduled."""

    name: str


class PodSpec(ApiObject):
    """What a pod needs of its node."""

    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    overhead: Mapping[str, str] = {}
    scheduling_gates: tuple[SchedulingGate, ...] = ()


class Pod(ApiObject):
    """A pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodList(ApiObject):
    """Pods, and the version of the list, from which a watch goes on."""

    metadata: Meta = Meta()
    items: tuple[Pod, ...] = ()


class NodeTaint(ApiObject):
    """A taint of a node."""

    key: str
    effect: str
    value: str = ""


class NodeSpec(ApiObject):
    """What the cluster's administrator says about a node."""

    unschedulable: bool = False
    taints: tuple[NodeTaint, ...] = ()


class NodeStatus(ApiObject):
    """What the kubelet says about a node."""

    allocatable: Mapping[str, str] = {}
    conditions: tuple[Condition, ...] = ()


class ApiNode(ApiObject):
    """A node of the cluster."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class NodeList(ApiObject):
    """Nodes."""

    items: tuple[ApiNode, ...] = ()


class Event(ApiObject):
    """Something that a controller has told about an object."""

    metadata: Meta
    message: str = ""


class EventList(ApiObject):
    """Events."""

    items: tuple[Event, ...] = ()


class SecretObject(ApiObject):
    """A Secret; its values are in base64."""

    metadata: Meta
    data: Mapping[str, str] = {}


class ApiStatus(ApiObject):
    """What the API server answers when it refuses."""

    reason: str = ""
    message: str = ""


class AccessReview(ApiObject):
    """The answer to the question whether we may do something."""

    class Status(ApiObject):
        """The answer itself."""

        allowed: bool = False
        reason: str = ""

    status: Status = Status()


class ApiNamespace(ApiObject):
    """A namespace."""

    metadata: Meta


class ApiVersion(ApiObject):
    """What the API server says about itself."""

    git_version: str
