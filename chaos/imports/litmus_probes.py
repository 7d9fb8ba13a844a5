"""Probes of Litmus as health checks. What would run a program, or compares in a way that a check cannot, is refused.

Source: probe types of litmuschaos/chaos-operator, chaosengine_types.go, and their documentation.
"""

from collections.abc import Mapping

from chaos.imports.collecting import Findings
from chaos.imports.quantities import number_of, seconds_of, whole_of
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location

REFUSED: Mapping[str, str] = {
    "cmdProbe": "would run a program, and nothing of a file is executed: ask by httpProbe or promProbe",
    "k8sProbe": "looks for objects; a health check of type kubernetes looks for a condition, such as Available",
    "sloProbe": "belongs to the platform of Harness: write an SLO",
}
RUN_KEYS = {"probeTimeout", "interval", "retry", "attempt", "probePollingInterval", "initialDelay"}
RUN_KEYS |= {"initialDelaySeconds", "evaluationTimeout", "verbosity", "stopOnFailure"}
NEVER = float("nan")


def health_check(raw: object, at: Location, findings: Findings) -> JsonObject | None:
    """Return the health check of a probe; None if it is refused."""
    probe = mapping(raw)
    kind = text(probe.get("type"))
    if kind in REFUSED or kind not in {"httpProbe", "promProbe"}:
        findings.refuse(at, f"{kind or 'a probe'} {REFUSED.get(kind, 'is no probe of Litmus')}")
        return None
    findings.only(at, probe, {"name", "type", "mode", "runProperties", f"{kind}/inputs"})
    inputs, where = mapping(probe.get(f"{kind}/inputs")), (*at, f"{kind}/inputs")
    found = _http(inputs, where, findings) if kind == "httpProbe" else _prometheus(inputs, where, findings)
    findings.note("Probes are judged before, under and after the fault, whatever their mode is.")
    properties = _properties(probe, at, findings)
    if inputs.get("responseTimeout"):
        properties["timeoutSeconds"] = (
            number_of(inputs["responseTimeout"], (*where, "responseTimeout"), findings) / 1000
        )
    return {"name": text(probe.get("name")) or "probe", **found, **properties}


def _properties(probe: dict[str, object], at: Location, findings: Findings) -> JsonObject:
    """Return how often is looked: so many attempts in a row must fail until a probe of Litmus has failed."""
    given, where = mapping(probe.get("runProperties")), (*at, "runProperties")
    findings.only(where, given, RUN_KEYS)
    made: JsonObject = {}
    if given.get("probeTimeout"):
        made["timeoutSeconds"] = seconds_of(given["probeTimeout"], (*where, "probeTimeout"), findings)
    if given.get("interval"):
        made["intervalSeconds"] = seconds_of(given["interval"], (*where, "interval"), findings)
    tries = given.get("attempt") or given.get("retry") or 1
    for key in sorted({"initialDelay", "initialDelaySeconds"} & {key for key in given if given[key]}):
        findings.note(f"{key} of probes is left out: the baseline comes before every fault.")
    if given.get("stopOnFailure") is True:
        findings.note("stopOnFailure is the halt condition of the probe: look at its `failures`.")
    made["failures"] = max(whole_of(tries, (*where, "attempt"), findings), 1)
    return made


def _http(inputs: dict[str, object], at: Location, findings: Findings) -> JsonObject:
    findings.only(at, inputs, {"url", "method", "responseTimeout"})
    method = mapping(inputs.get("method"))
    if set(method) != {"get"}:
        findings.refuse((*at, "method"), "must be get: a health check changes nothing")
    get, where = mapping(method.get("get")), (*at, "method", "get")
    findings.only(where, get, {"criteria", "responseCode"})
    if get and text(get.get("criteria")) not in {"==", "equal"}:
        findings.refuse((*where, "criteria"), "must be ==: a health check expects one status")
    status = whole_of(get.get("responseCode", "200"), (*where, "responseCode"), findings) if get else 200
    return {"type": "http", "url": text(inputs.get("url")), "status": status}


def _prometheus(inputs: dict[str, object], at: Location, findings: Findings) -> JsonObject:
    findings.only(at, inputs, {"endpoint", "query", "comparator"})
    comparator, where = mapping(inputs.get("comparator")), (*at, "comparator")
    findings.only(where, comparator, {"type", "criteria", "value"})
    if not text(inputs.get("query")):
        findings.refuse((*at, "query"), "is required: a file is not read")
    findings.note("Connect the Prometheus of the probes by `assay chaos connect`.")
    return {"type": "prometheus", "query": text(inputs.get("query")) or "up", **_limits(comparator, where, findings)}


def _limits(comparator: dict[str, object], at: Location, findings: Findings) -> JsonObject:
    """Return the limits that a value must not pass: a value on a limit is within it, as with <=, >= and between."""
    criteria, value, where = text(comparator.get("criteria")), comparator.get("value"), (*at, "value")
    if criteria == "between":
        parts = items(value) or text(value).strip("[]").split(",")
        low, high = (number_of(part, where, findings) for part in [*parts, None, None][:2])
        return {"above": max(low, high), "below": min(low, high)}
    if criteria in {"<=", ">=", "=="}:
        limit = number_of(value, where, findings)
        return {key: limit for key, signs in (("above", "<= =="), ("below", ">= ==")) if criteria in signs.split()}
    if criteria in {"<", ">"} and comparator.get("type") == "int":
        limit = number_of(value, where, findings)
        return {"above": limit - 1} if criteria == "<" else {"below": limit + 1}
    findings.refuse((*at, "criteria"), f"{criteria or 'nothing'} cannot be said: use <=, >=, == or between")
    return {"above": 0.0}
