"""Experiments of Litmus with their variables as faults: the other direction of `chaos.manifests.litmus`.

A variable that an engine leaves out has the default of the experiment: that of a ChaosExperiment in the same file, else
the published one. Sources: fault.yaml of each experiment in litmuschaos/chaos-charts 3.28.0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from chaos.fault_types import MOST_FAULTS
from chaos.imports.collecting import Findings
from chaos.imports.quantities import PLACEHOLDER_SECONDS, number_of, whole_of
from model.json_values import JsonObject
from model.problems import Location

GIGABYTE = 1024
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "pod-delete": {"TOTAL_CHAOS_DURATION": "15", "CHAOS_INTERVAL": "5", "FORCE": "true"},
    "container-kill": {"TOTAL_CHAOS_DURATION": "20", "CHAOS_INTERVAL": "10", "SIGNAL": "SIGKILL"},
    "pod-network-latency": {"TOTAL_CHAOS_DURATION": "60", "NETWORK_LATENCY": "2000", "JITTER": "0"},
    "pod-network-loss": {"TOTAL_CHAOS_DURATION": "60", "NETWORK_PACKET_LOSS_PERCENTAGE": "100"},
    "pod-network-partition": {"TOTAL_CHAOS_DURATION": "60", "POLICY_TYPES": "all"},
    "pod-cpu-hog": {"TOTAL_CHAOS_DURATION": "60", "CPU_CORES": "1", "CPU_LOAD": "100"},
    "pod-memory-hog": {"TOTAL_CHAOS_DURATION": "60", "MEMORY_CONSUMPTION": "500", "NUMBER_OF_WORKERS": "1"},
    "pod-io-stress": {
        "TOTAL_CHAOS_DURATION": "120",
        "FILESYSTEM_UTILIZATION_PERCENTAGE": "10",
        "NUMBER_OF_WORKERS": "4",
    },
    "pod-http-status-code": {"TOTAL_CHAOS_DURATION": "60", "TOXICITY": "100", "MODIFY_RESPONSE_BODY": "true"},
}
WITHOUT_MEANING = frozenset(
    {
        *("CONTAINER_RUNTIME", "SOCKET_PATH", "LIB", "LIB_IMAGE", "TC_IMAGE", "STRESS_IMAGE", "INSTANCE_ID"),
        *("DEFAULT_HEALTH_CHECK", "RAMP_TIME", "SEQUENCE", "NODE_LABEL", "TARGET_PODS", "PODS_AFFECTED_PERC"),
        *("STATUS_CHECK_DELAY", "STATUS_CHECK_TIMEOUT", "PROXY_PORT", "TERMINATION_GRACE_PERIOD_SECONDS"),
        *("CHAOS_KILL_COMMAND", "CHAOS_SERVICE_ACCOUNT", "CHAOS_NAMESPACE", "APP_NAMESPACE", "APP_LABEL", "APP_KIND"),
    }
)
"""How Litmus works, and what `litmus_engine` reads: no parameters of the fault."""
UNUSED = frozenset({"CHAOS_INTERVAL"})
"""Only kills have intervals. Files of other experiments often set it too, and Litmus does not look at it."""
REMEDIES: Mapping[str, str] = {
    "spring-boot-exceptions": "needs an agent in the application; exception-injection does it without",
    "disk-fill": "fills the disk of the node; disk-io-stress is bounded",
    "pod-autoscaler": "scales, and is no fault",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of one experiment. `given` stand in the engine, each with its location."""

    given: Mapping[str, str]
    defaults: Mapping[str, str]
    locations: Mapping[str, Location]
    whole: Location
    findings: Findings

    def text(self, name: str) -> str:
        """Return a variable, empty if there is none."""
        return self.given.get(name, self.defaults.get(name, ""))

    def at(self, name: str) -> Location:
        """Return where a variable stands; the experiment if it is a default."""
        return self.locations.get(name, self.whole)

    def number(self, name: str) -> float:
        """Return a variable as a number."""
        return number_of(self.text(name), self.at(name), self.findings)

    def integer(self, name: str) -> int:
        """Return a variable as a whole number."""
        return whole_of(self.text(name), self.at(name), self.findings)

    def refuse(self, name: str, message: str) -> None:
        """Refuse a variable where it stands."""
        self.findings.refuse(self.at(name), f"{name} {message}")

    def only(self, name: str, *allowed: str) -> None:
        """Refuse a variable with any other value than the allowed ones."""
        if self.text(name) not in allowed:
            words = " or ".join(repr(value) for value in allowed if value) or "left out"
            self.refuse(name, f"must be {words} to have the same meaning here")


def faults_of(experiment: str, variables: Variables) -> list[JsonObject]:
    """Return the faults of an experiment, one after the other; none if it is refused.

    A kill that is made again each interval becomes one kill for each time.
    """
    if experiment not in EXPERIMENTS:
        remedy = REMEDIES.get(experiment, f"imported are {', '.join(sorted(EXPERIMENTS))}")
        variables.findings.refuse((*variables.whole, "name"), f"{experiment or 'it'} has no counterpart here: {remedy}")
        return []
    reader = EXPERIMENTS[experiment]
    for name in variables.given:
        if name not in reader.variables | WITHOUT_MEANING | UNUSED and variables.given[name]:
            variables.refuse(name, "has no counterpart here")
    fault = reader.read(variables)
    before = len(variables.findings.problems)
    seconds = variables.integer("TOTAL_CHAOS_DURATION")
    seconds = seconds if len(variables.findings.problems) == before else PLACEHOLDER_SECONDS
    defaulted = sorted(set(DEFAULTS[experiment]) - set(variables.given))
    if defaulted:
        said = ", ".join(f"{name}={variables.text(name)}" for name in defaulted)
        variables.findings.note(f"{experiment}: what its engine leaves out has the default of Litmus: {said}.")
    return _repeated(fault, seconds, variables) if "CHAOS_INTERVAL" in reader.variables else [_lasting(fault, seconds)]


def _lasting(fault: JsonObject, seconds: int) -> JsonObject:
    return fault | {"durationSeconds": seconds}


def _repeated(fault: JsonObject, seconds: int, variables: Variables) -> list[JsonObject]:
    interval = variables.integer("CHAOS_INTERVAL")
    if interval < 1 or seconds < 1:
        variables.refuse("CHAOS_INTERVAL", "and TOTAL_CHAOS_DURATION must be 1 or more")
        return [fault]
    times = ceil(seconds / interval)
    if times > MOST_FAULTS:
        variables.refuse("CHAOS_INTERVAL", f"makes {times} kills; here there are {MOST_FAULTS} faults at most")
        return [fault]
    if times > 1:
        variables.findings.note(f"Litmus kills {times} times, so there are {times} faults in turn.")
    lengths = [interval] * (times - 1) + [seconds - interval * (times - 1)]
    return [_lasting(fault, length) for length in lengths]


def _delete(variables: Variables) -> JsonObject:
    variables.only("FORCE", "true", "false", "")
    variables.only("POD_TERMINATION_ORDER", "random", "")
    variables.only("RANDOMNESS", "false", "")
    kind = "pod-kill" if variables.text("FORCE") == "true" else "pod-delete"
    return {"type": kind, "parameters": {"once": True}}


def _kill(variables: Variables) -> JsonObject:
    variables.only("SIGNAL", "SIGKILL", "KILL")
    container = variables.text("TARGET_CONTAINER")
    return {"type": "container-kill", "parameters": {"once": True} | ({"container": container} if container else {})}


def _network(variables: Variables) -> JsonObject:
    """Return what both network faults share: which port, and that nothing else is chosen."""
    variables.only("NETWORK_INTERFACE", "eth0", "")
    variables.only("CORRELATION", "0", "")
    return {"port": variables.integer("SOURCE_PORTS")} if variables.text("SOURCE_PORTS") else {}


def _latency(variables: Variables) -> JsonObject:
    parameters = {"latencyMs": variables.integer("NETWORK_LATENCY"), "jitterMs": variables.integer("JITTER")}
    return {"type": "network-latency", "parameters": parameters | _network(variables)}


def _loss(variables: Variables) -> JsonObject:
    parameters: JsonObject = {"percent": variables.number("NETWORK_PACKET_LOSS_PERCENTAGE")}
    return {"type": "network-packet-loss", "parameters": parameters | _network(variables)}


def _partition(variables: Variables) -> JsonObject:
    """Return a partition. Litmus makes a NetworkPolicy for it, and so does our provider `kubernetes`."""
    variables.only("POLICY_TYPES", "all", "ingress", "egress")
    direction = {"all": "both"}.get(variables.text("POLICY_TYPES"), variables.text("POLICY_TYPES"))
    return {"type": "network-partition", "parameters": {"direction": direction}, "provider": "kubernetes"}


def _cpu(variables: Variables) -> JsonObject:
    workers, load = variables.integer("CPU_CORES"), variables.number("CPU_LOAD")
    return {"type": "cpu-stress", "parameters": {"workers": workers, "loadPercent": load}}


def _memory(variables: Variables) -> JsonObject:
    variables.only("NUMBER_OF_WORKERS", "1")
    return {"type": "memory-stress", "parameters": {"megabytes": variables.integer("MEMORY_CONSUMPTION")}}


def _disk(variables: Variables) -> JsonObject:
    gigabytes = variables.text("FILESYSTEM_UTILIZATION_BYTES")
    if not gigabytes or variables.given.get("FILESYSTEM_UTILIZATION_PERCENTAGE"):
        share = "FILESYSTEM_UTILIZATION_PERCENTAGE"
        variables.refuse(share, "takes a share of the disk: set FILESYSTEM_UTILIZATION_BYTES, in gigabytes, instead")
    size = GIGABYTE * whole_of(gigabytes or "1", variables.at("FILESYSTEM_UTILIZATION_BYTES"), variables.findings)
    path = variables.text("VOLUME_MOUNT_PATH")
    parameters: JsonObject = {"megabytes": size, "workers": variables.integer("NUMBER_OF_WORKERS")}
    return {"type": "disk-io-stress", "parameters": parameters | ({"path": path} if path else {})}


def _status(variables: Variables) -> JsonObject:
    variables.only("MODIFY_RESPONSE_BODY", "true", "")
    variables.only("NETWORK_INTERFACE", "eth0", "")
    for name in ("STATUS_CODE", "TARGET_SERVICE_PORT"):
        if not variables.text(name):
            variables.refuse(name, "is required")
            return {"type": "exception-injection", "parameters": {}}
    parameters: JsonObject = {
        "percent": variables.number("TOXICITY"),
        "status": variables.integer("STATUS_CODE"),
        "port": variables.integer("TARGET_SERVICE_PORT"),
    }
    return {"type": "exception-injection", "parameters": parameters}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """How an experiment of Litmus is read, and the variables that have a meaning for it."""

    read: Callable[[Variables], JsonObject]
    variables: frozenset[str]


def _experiment(read: Callable[[Variables], JsonObject], *names: str) -> Experiment:
    return Experiment(read=read, variables=frozenset({"TOTAL_CHAOS_DURATION", *names}))


EXPERIMENTS: Mapping[str, Experiment] = {
    "pod-delete": _experiment(_delete, "CHAOS_INTERVAL", "FORCE", "POD_TERMINATION_ORDER", "RANDOMNESS"),
    "container-kill": _experiment(_kill, "CHAOS_INTERVAL", "SIGNAL", "TARGET_CONTAINER"),
    "pod-network-latency": _experiment(
        _latency, "NETWORK_LATENCY", "JITTER", "CORRELATION", "NETWORK_INTERFACE", "SOURCE_PORTS"
    ),
    "pod-network-loss": _experiment(
        _loss, "NETWORK_PACKET_LOSS_PERCENTAGE", "CORRELATION", "NETWORK_INTERFACE", "SOURCE_PORTS"
    ),
    "pod-network-partition": _experiment(_partition, "POLICY_TYPES"),
    "pod-cpu-hog": _experiment(_cpu, "CPU_CORES", "CPU_LOAD"),
    "pod-memory-hog": _experiment(_memory, "MEMORY_CONSUMPTION", "NUMBER_OF_WORKERS"),
    "pod-io-stress": _experiment(
        _disk,
        "FILESYSTEM_UTILIZATION_BYTES",
        "FILESYSTEM_UTILIZATION_PERCENTAGE",
        "NUMBER_OF_WORKERS",
        "VOLUME_MOUNT_PATH",
    ),
    "pod-http-status-code": _experiment(
        _status, "TARGET_SERVICE_PORT", "STATUS_CODE", "TOXICITY", "MODIFY_RESPONSE_BODY", "NETWORK_INTERFACE"
    ),
}
