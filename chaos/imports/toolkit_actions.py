"""Actions of Chaos Toolkit as faults: those of chaosk8s that kill pods, and those that ask Chaos Mesh.

Source: chaosk8s/pod/actions.py and chaosk8s/chaosmesh of chaostoolkit/chaostoolkit-kubernetes, signatures and defaults.
"""

from collections.abc import Callable, Mapping

from chaos.imports.collecting import Findings, ImportedFault
from chaos.imports.quantities import (
    labels_of,
    megabytes_of,
    milliseconds_of,
    number_of,
    whole_of,
    whole_seconds_of,
)
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location

MESH_TARGET = {"name", "ns", "namespaces_selectors", "label_selectors", "mode", "mode_value", "direction", "secrets"}
STRESSED: Mapping[str, object] = {"duration": "30s"}
"""The default of both stressors."""
REVERTS = frozenset(
    {
        ("chaosk8s.chaosmesh.network.actions", "delete_network_fault"),
        ("chaosk8s.chaosmesh.stress.actions", "delete_stressor"),
    }
)


def fault_of_action(raw: object, location: Location, findings: Findings) -> ImportedFault | None:
    """Return the fault of an action; None if it is refused."""
    action = mapping(raw)
    findings.only(location, action, {"type", "name", "provider", "pauses", "background", "contributions"})
    provider = mapping(action.get("provider"))
    if provider.get("type") != "python":
        words = {"process": "would run a program", "http": "would change something by an HTTP call"}
        kind = text(provider.get("type"))
        findings.refuse((*location, "provider"), f"{words.get(kind, f'{kind} is unknown')}: it is not executed")
        return None
    function = (text(provider.get("module")), text(provider.get("func")))
    if function not in ACTIONS:
        findings.refuse(
            (*location, "provider", "func"),
            f"{'.'.join(function)} is not imported; imported are {', '.join(name for _, name in ACTIONS)}",
        )
        return None
    findings.only((*location, "provider"), provider, {"type", "module", "func", "arguments"})
    where = (*location, "provider", "arguments")
    return ACTIONS[function](mapping(provider.get("arguments")), where, findings)


def _terminate(arguments: dict[str, object], at: Location, findings: Findings) -> ImportedFault:
    allowed = {"label_selector", "all", "rand", "mode", "qty", "grace_period", "ns", "order"}
    findings.only(at, arguments, allowed)
    if text(arguments.get("mode") or "fixed") != "fixed":
        findings.refuse((*at, "mode"), "takes a share of the pods; here a number of pods is named")
    if arguments.get("rand") or arguments.get("order") not in {None, "alphabetic"}:
        findings.note("Pods are chosen by name, not at random and not by age: `plan` shows which.")
    labels = labels_of(arguments.get("label_selector"), (*at, "label_selector"), findings)
    seconds = whole_of(arguments.get("grace_period", -1), (*at, "grace_period"), findings)
    if seconds < 0:
        findings.note("The grace period of a deleted pod is 30 s, as is the default of pods.")
    kind = "pod-kill" if seconds == 0 else "pod-delete"
    parameters: JsonObject = {"once": True} | ({"gracePeriodSeconds": seconds} if seconds > 0 else {})
    quantity = whole_of(arguments.get("qty", 1), (*at, "qty"), findings)
    every = str(arguments.get("all") or False).lower()
    if every not in {"true", "false"}:
        findings.refuse((*at, "all"), "must be true or false")
    count = None if every == "true" else quantity
    namespace = text(arguments.get("ns") or "default")
    return ImportedFault(
        fault={"type": kind, "parameters": parameters}, namespace=namespace, labels=labels, count=count
    )


def _latency(arguments: dict[str, object], at: Location, findings: Findings) -> ImportedFault:
    findings.only(at, arguments, MESH_TARGET | {"latency", "jitter"})
    parameters: JsonObject = {"latencyMs": milliseconds_of(arguments.get("latency"), (*at, "latency"), findings)}
    if arguments.get("jitter"):
        parameters["jitterMs"] = milliseconds_of(arguments["jitter"], (*at, "jitter"), findings)
    return _mesh("network-latency", parameters, arguments, (at, findings))


def _loss(arguments: dict[str, object], at: Location, findings: Findings) -> ImportedFault:
    findings.only(at, arguments, MESH_TARGET | {"loss"})
    percent = number_of(arguments.get("loss"), (*at, "loss"), findings)
    return _mesh("network-packet-loss", {"percent": percent}, arguments, (at, findings))


def _cpu(arguments: dict[str, object], at: Location, findings: Findings) -> ImportedFault:
    findings.only(at, arguments, MESH_TARGET | {"workers", "load", "duration"})
    workers = whole_of(arguments.get("workers"), (*at, "workers"), findings)
    load = number_of(arguments.get("load"), (*at, "load"), findings)
    return _mesh("cpu-stress", {"workers": workers, "loadPercent": load}, {**STRESSED, **arguments}, (at, findings))


def _memory(arguments: dict[str, object], at: Location, findings: Findings) -> ImportedFault:
    findings.only(at, arguments, MESH_TARGET | {"workers", "size", "duration"})
    if number_of(arguments.get("workers") or 1, (*at, "workers"), findings) != 1:
        findings.refuse((*at, "workers"), "must be 1: memory is held by one process")
    megabytes = megabytes_of(arguments.get("size"), (*at, "size"), findings)
    return _mesh("memory-stress", {"megabytes": megabytes}, {**STRESSED, **arguments}, (at, findings))


def _mesh(
    kind: str, parameters: JsonObject, arguments: dict[str, object], context: tuple[Location, Findings]
) -> ImportedFault:
    """Return a fault that Chaos Mesh injects into the pods that the arguments select."""
    at, findings = context
    namespace = text(arguments.get("ns") or "default")
    elsewhere = items(arguments.get("namespaces_selectors")) or [arguments.get("namespaces_selectors")]
    if any(one not in {None, namespace} for one in map(_plain, elsewhere)):
        findings.refuse((*at, "namespaces_selectors"), f"is another namespace than {namespace}")
    if text(arguments.get("direction") or "to") != "to":
        findings.refuse((*at, "direction"), "must be to: what the target sends")
    mode, counts = text(arguments.get("mode") or "one"), {"one": 1, "all": None}
    if mode not in {"one", "all", "fixed"}:
        findings.refuse((*at, "mode"), "takes a share of the pods; here a number of pods is named")
    number = whole_of(arguments.get("mode_value"), (*at, "mode_value"), findings) if mode == "fixed" else 1
    fault: JsonObject = {"type": kind, "provider": "chaos-mesh", "parameters": parameters}
    if arguments.get("duration"):
        fault["durationSeconds"] = whole_seconds_of(arguments["duration"], (*at, "duration"), findings)
    labels = labels_of(arguments.get("label_selectors"), (*at, "label_selectors"), findings)
    count = number if mode == "fixed" else counts.get(mode, 1)
    return ImportedFault(fault=fault, namespace=namespace, labels=labels, count=count)


def _plain(value: object) -> str | None:
    return None if value is None else text(value)


ACTIONS: Mapping[tuple[str, str], Callable[[dict[str, object], Location, Findings], ImportedFault]] = {
    ("chaosk8s.pod.actions", "terminate_pods"): _terminate,
    ("chaosk8s.chaosmesh.network.actions", "add_latency"): _latency,
    ("chaosk8s.chaosmesh.network.actions", "set_loss"): _loss,
    ("chaosk8s.chaosmesh.stress.actions", "stress_cpu"): _cpu,
    ("chaosk8s.chaosmesh.stress.actions", "stress_memory"): _memory,
}
