"""Objects of Chaos Mesh as faults: the other direction of `chaos.manifests.chaos_mesh`.

Source: api/v1alpha1 of chaos-mesh/chaos-mesh 2.8, types and defaults.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chaos.imports.collecting import Findings, ImportedFault
from chaos.imports.quantities import (
    UNLABELLED,
    labels_of,
    megabytes_of,
    milliseconds_of,
    number_of,
    whole_of,
    whole_seconds_of,
)
from chaos.manifests.chaos_mesh import DIRECTIONS, LENGTH_ANNOTATION
from chaos.manifests.naming import FAULT_LABEL
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location

COMMON = {"mode", "value", "selector", "duration"}
WHOLE = 100
SHARES = ("fixed-percent", "random-max-percent")
PAUSED = "experiment.chaos-mesh.org/pause"
OTHER_SIDE = ("target", "externalTargets", "device")
REFUSED: Mapping[str, str] = {
    "IOChaos": "delays or fails what the target reads and writes; disk-io-stress puts a load on its disk",
    "JVMChaos": "needs an agent in the application; exception-injection does it without",
    "TimeChaos": "moves the clock of a process",
    "DNSChaos": "answers names wrongly",
    "KernelChaos": "makes system calls fail",
    "BlockChaos": "delays a block device",
    "PhysicalMachineChaos": "aims at machines",
    "AWSChaos": "aims at machines of a cloud",
    "GCPChaos": "aims at machines of a cloud",
    "AzureChaos": "aims at machines of a cloud",
}
"""Kinds that have no counterpart, and what each does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSpec:
    """The spec of one object, where it stands, and what stands around it. `seconds` is a length from outside of it."""

    kind: str
    spec: Mapping[str, object]
    at: Location
    namespace: str
    labels: Mapping[str, str]
    findings: Findings
    seconds: int | None = None
    count: int | None = None

    def within(self, key: str) -> tuple[dict[str, object], Location]:
        """Return an object of the spec and its location."""
        return mapping(self.spec.get(key)), (*self.at, key)

    def only(self, *keys: str) -> None:
        """Refuse all keys but these and the common ones."""
        self.findings.only(self.at, self.spec, COMMON | set(keys))

    def refuse(self, key: str, message: str) -> None:
        """Refuse a key of the spec."""
        self.findings.refuse((*self.at, key), message)


def mesh_spec(raw: Mapping[str, object], at: Location, labels: Mapping[str, str], findings: Findings) -> MeshSpec:
    """Return the spec of a whole object. One of our own says in an annotation how long its fault lasts."""
    metadata = mapping(raw.get("metadata"))
    noted = mapping(metadata.get("annotations")).get(LENGTH_ANNOTATION)
    ours = FAULT_LABEL in mapping(metadata.get("labels"))
    if text(mapping(metadata.get("annotations")).get(PAUSED)) == "true":
        findings.refuse((*at, "metadata", "annotations", PAUSED), "is true, so this object does nothing: leave it out")
    return MeshSpec(
        kind=text(raw.get("kind")),
        spec=mapping(raw.get("spec")),
        at=(*at, "spec"),
        namespace=text(metadata.get("namespace")) or "default",
        labels=labels,
        findings=findings,
        seconds=int(text(noted)) if ours and text(noted).isdigit() else None,
    )


def mesh_faults(given: MeshSpec) -> tuple[ImportedFault, ...]:
    """Return the faults of an object, which are together. Empty if it is refused."""
    if given.kind not in KINDS:
        remedy = REFUSED.get(given.kind, f"imported are {', '.join(sorted(KINDS))}")
        whole = given.at[-1] == "spec"
        where = (*given.at[:-1], "kind") if whole else given.at
        given.findings.refuse(where, f"{given.kind} has no counterpart here: {remedy}")
        return ()
    made = KINDS[given.kind](given)
    namespace, labels = _selected(given)
    count = _count(given)
    length = _length(given)
    return tuple(
        ImportedFault(
            fault={"provider": "chaos-mesh", **fault, **length},
            namespace=namespace,
            labels=labels,
            count=count,
            location=given.at,
        )
        for fault in made
    )


def _length(given: MeshSpec) -> JsonObject:
    if given.seconds is not None:
        return {"durationSeconds": given.seconds}
    if given.spec.get("duration") is None:
        return {}
    return {"durationSeconds": whole_seconds_of(given.spec["duration"], (*given.at, "duration"), given.findings)}


def _selected(given: MeshSpec) -> tuple[str, dict[str, str]]:
    selector, where = given.within("selector")
    given.findings.only(where, selector, {"namespaces", "labelSelectors", "pods"})
    named = mapping(selector.get("pods"))
    namespaces = sorted({text(one) for one in items(selector.get("namespaces"))} | set(named))
    if len(namespaces) > 1:
        given.findings.refuse(
            where, f"selects in several namespaces ({', '.join(namespaces)}): write one file for each"
        )
    namespace = next(iter(namespaces), given.namespace)
    if given.labels:
        return namespace, dict(given.labels)
    if named:
        given.findings.refuse(
            (*where, "pods"), "names pods; a target here is chosen by labels: give them by --target app=NAME"
        )
        return namespace, {}
    if not mapping(selector.get("labelSelectors")):
        given.findings.refuse(where, f"{UNLABELLED}; give them by --target app=NAME")
        return namespace, {}
    return namespace, labels_of(mapping(selector.get("labelSelectors")), where, given.findings)


def _count(given: MeshSpec) -> int | None:
    mode, value = text(given.spec.get("mode")), given.spec.get("value")
    if given.count is not None:
        return given.count
    if mode in {"one", "all"}:
        if mode == "one":
            given.findings.note("Pods are chosen by name, not at random: `plan` shows which.")
        return 1 if mode == "one" else None
    if mode == "fixed":
        return whole_of(value, (*given.at, "value"), given.findings)
    if mode == "fixed-percent" and number_of(value, (*given.at, "value"), given.findings) == WHOLE:
        return None
    if mode not in SHARES:
        given.refuse("mode", f"must be one, all, fixed, or one of {', '.join(SHARES)}")
        return 1
    given.refuse("mode", "takes a share of the pods: say how many that are, by --count N")
    return 1


def _pod(given: MeshSpec) -> list[JsonObject]:
    given.only("action", "gracePeriod", "containerNames")
    action = text(given.spec.get("action"))
    if action == "pod-kill":
        grace = given.spec.get("gracePeriod") or 0
        seconds = whole_of(grace, (*given.at, "gracePeriod"), given.findings)
        more: JsonObject = {"gracePeriodSeconds": seconds} if seconds else {}
        return [{"type": "pod-delete" if seconds else "pod-kill", "parameters": {"once": True} | more}]
    if action == "container-kill":
        names = [text(name) for name in items(given.spec.get("containerNames"))]
        if len(names) != 1:
            given.refuse("containerNames", "must name one container: write one fault for each")
        return [{"type": "container-kill", "parameters": {"once": True} | ({"container": names[0]} if names else {})}]
    remedy = " (pod-kill without `once` keeps a pod down here)" if action == "pod-failure" else ""
    given.refuse("action", f"{action or 'none'} has no counterpart here{remedy}")
    return []


def _network(given: MeshSpec) -> list[JsonObject]:
    action = text(given.spec.get("action"))
    given.only("action", "direction", action, *OTHER_SIDE)
    for key in OTHER_SIDE:
        if given.spec.get(key):
            given.refuse(key, "chooses some connections; here all of the target's are meant: leave it out")
    direction = text(given.spec.get("direction") or "to")
    if action == "partition":
        names = {word: name for name, word in DIRECTIONS.items()}
        if direction not in names:
            given.refuse("direction", "must be to, from or both")
        return [{"type": "network-partition", "parameters": {"direction": names.get(direction, "both")}}]
    if action not in {"delay", "loss"}:
        given.refuse("action", f"{action or 'none'} has no counterpart here: imported are delay, loss and partition")
        return []
    if direction != "to":
        given.refuse("direction", "must be to: what the target sends")
    values, where = given.within(action)
    given.findings.only(
        where, values, {"latency", "jitter", "correlation"} if action == "delay" else {"loss", "correlation"}
    )
    if action == "loss":
        percent = number_of(values.get("loss"), (*where, "loss"), given.findings)
        _uncorrelated(values, where, given.findings, matters=percent < WHOLE)
        return [{"type": "network-packet-loss", "parameters": {"percent": percent}}]
    latency = milliseconds_of(values.get("latency"), (*where, "latency"), given.findings)
    jitter = milliseconds_of(values.get("jitter") or "0ms", (*where, "jitter"), given.findings)
    _uncorrelated(values, where, given.findings, matters=jitter > 0)
    return [{"type": "network-latency", "parameters": {"latencyMs": latency, "jitterMs": jitter}}]


def _uncorrelated(values: dict[str, object], at: Location, findings: Findings, *, matters: bool) -> None:
    """Refuse a correlation where it changes anything: without jitter all packets wait alike."""
    given = values.get("correlation")
    if given and number_of(given, (*at, "correlation"), findings) and matters:
        findings.refuse((*at, "correlation"), "must be 0: each packet is delayed or lost by itself here")


def _stress(given: MeshSpec) -> list[JsonObject]:
    given.only("stressors")
    stressors, where = given.within("stressors")
    given.findings.only(where, stressors, {"cpu", "memory"})
    made: list[JsonObject] = []
    if cpu := mapping(stressors.get("cpu")):
        at = (*where, "cpu")
        given.findings.only(at, cpu, {"workers", "load"})
        if "load" not in cpu:
            given.findings.refuse((*at, "load"), "is required: without it Chaos Mesh puts no load on")
        load = number_of(cpu.get("load", 1), (*at, "load"), given.findings)
        workers = whole_of(cpu.get("workers", 1), (*at, "workers"), given.findings)
        made.append({"type": "cpu-stress", "parameters": {"workers": workers, "loadPercent": load}})
    if memory := mapping(stressors.get("memory")):
        at = (*where, "memory")
        given.findings.only(at, memory, {"workers", "size", "oomScoreAdj"})
        if memory.get("workers", 1) != 1:
            given.findings.refuse((*at, "workers"), "must be 1: memory is held by one process")
        if memory.get("oomScoreAdj"):
            given.findings.refuse((*at, "oomScoreAdj"), "must be 0")
        size = megabytes_of(memory.get("size"), (*at, "size"), given.findings)
        made.append({"type": "memory-stress", "parameters": {"megabytes": size}})
    if not made and not stressors:
        given.refuse("stressors", "is required: cpu or memory")
    return made


def _http(given: MeshSpec) -> list[JsonObject]:
    given.only("target", "port", "path", "replace")
    if given.spec.get("target") != "Response":
        given.refuse("target", "must be Response: the status of the answer is replaced")
    replaced, where = given.within("replace")
    given.findings.only(where, replaced, {"code"})
    if "code" not in replaced:
        given.findings.refuse((*where, "code"), "is required: an abort or a delay of HTTP has no counterpart here")
    path = text(given.spec.get("path") or "*")
    if not path.endswith("*") or "*" in path[:-1] or "?" in path:
        given.refuse("path", "must be the start of a path and an asterisk, such as /orders*")
    port = whole_of(given.spec.get("port"), (*given.at, "port"), given.findings)
    status = whole_of(replaced.get("code", "503"), (*where, "code"), given.findings)
    parameters: JsonObject = {"status": status, "port": port, "pathPrefix": path.rstrip("*") or "/"}
    return [{"type": "exception-injection", "parameters": parameters}]


KINDS: Mapping[str, Callable[[MeshSpec], list[JsonObject]]] = {
    "PodChaos": _pod,
    "NetworkChaos": _network,
    "StressChaos": _stress,
    "HTTPChaos": _http,
}
