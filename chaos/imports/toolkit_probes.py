"""Probes of Chaos Toolkit as health checks.

The meaning of a tolerance: a scalar must be equal; a list of two is a range, but a choice for a status; a longer list
is a choice; jsonpath compares what the path finds. What a health check cannot say with the same meaning is refused.
Source: chaoslib/hypothesis.py of chaostoolkit/chaostoolkit-lib 1.45.
"""

from chaos.imports.collecting import Findings
from chaos.imports.quantities import number_of
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location

DEPLOYMENT_PROBES = frozenset(
    {
        ("chaosk8s.deployment.probes", "deployment_available_and_healthy"),
        ("chaosk8s.probes", "microservice_available_and_healthy"),
    }
)
PROMETHEUS_PROBES = frozenset({("chaosprometheus.probes", "query")})
VALUE_PATHS = frozenset({"$.data.result[0].value[1]", "$.data.result[*].value[1]"})
LONGEST_TIMEOUT, DEFAULT_TIMEOUT = 30.0, 2.0
FIRST_STATUS, LAST_STATUS = 100, 599


def health_check(raw: object, location: Location, namespace: str, findings: Findings) -> JsonObject | None:
    """Return the health check of a probe of the hypothesis; None if it is refused."""
    probe = mapping(raw)
    findings.only(location, probe, {"type", "name", "tolerance", "provider", "contributions"})
    provider = mapping(probe.get("provider"))
    where = (*location, "provider")
    if text(probe.get("type") or "probe") != "probe":
        findings.refuse((*location, "type"), "must be probe: a hypothesis changes nothing")
    if "tolerance" not in probe:
        findings.refuse((*location, "tolerance"), "is required: without it a probe decides nothing")
        return None
    base: JsonObject = {"name": text(probe.get("name")) or "probe", "failures": 1}
    match provider.get("type"):
        case "http":
            found = _http(probe, provider, location, findings)
        case "python":
            found = _python(probe, provider, location, (namespace, findings))
        case "process":
            findings.refuse(where, "would run a program: nothing of an imported file is executed")
            return None
        case other:
            findings.refuse((*where, "type"), f"{other} is no type of provider that is imported")
            return None
    return base | found if found else None


def _http(probe: dict[str, object], provider: dict[str, object], at: Location, findings: Findings) -> JsonObject | None:
    where = (*at, "provider")
    findings.only(where, provider, {"type", "url", "method", "timeout", "verify_tls"})
    if provider.get("verify_tls") is False:
        findings.refuse((*where, "verify_tls"), "must be true: a health check trusts no unknown certificate")
    if text(provider.get("method") or "GET").upper() != "GET":
        findings.refuse((*where, "method"), "a health check asks by GET")
    status = _status(probe["tolerance"], (*at, "tolerance"), findings)
    seconds = _timeout(provider.get("timeout"), (*where, "timeout"), findings)
    if status is None:
        return None
    return {"type": "http", "url": text(provider.get("url")), "status": status, "timeoutSeconds": seconds}


def _status(tolerance: object, location: Location, findings: Findings) -> int | None:
    """Return the one status that is tolerated."""
    wanted = items(tolerance)
    one = wanted[0] if len(wanted) == 1 else tolerance
    if isinstance(one, int) and not isinstance(one, bool) and FIRST_STATUS <= one <= LAST_STATUS:
        return one
    if wanted:
        findings.refuse(location, "means one of several statuses; a health check expects one")
    elif kind := text(mapping(tolerance).get("type")):
        findings.refuse(location, f"looks into the answer by {kind}; a health check compares its status")
    else:
        findings.refuse(location, "is no status of HTTP")
    return None


def _timeout(raw: object, location: Location, findings: Findings) -> float:
    parts = [number_of(part, location, findings) for part in items(raw) or [raw] if part is not None]
    seconds = float(sum(parts)) or DEFAULT_TIMEOUT
    if not parts:
        findings.note(f"A probe without a timeout has one of {DEFAULT_TIMEOUT:g} s here: what is slower is a miss.")
    if len(parts) > 1:
        findings.note("A timeout for connecting and one for reading became their sum.")
    if seconds > LONGEST_TIMEOUT:
        findings.refuse(location, f"must be {LONGEST_TIMEOUT:g} seconds or less")
    return seconds


def _python(
    probe: dict[str, object], provider: dict[str, object], at: Location, context: tuple[str, Findings]
) -> JsonObject | None:
    namespace, findings = context
    function = (text(provider.get("module")), text(provider.get("func")))
    arguments, where = mapping(provider.get("arguments")), (*at, "provider", "arguments")
    findings.only((*at, "provider"), provider, {"type", "module", "func", "arguments"})
    if function in DEPLOYMENT_PROBES:
        findings.only(where, arguments, {"name", "ns", "raise_on_unavailable"})
        if text(arguments.get("ns") or "default") != namespace:
            findings.refuse((*where, "ns"), f"is another namespace than {namespace}, that of the target")
        if probe["tolerance"] is not True:
            findings.refuse((*at, "tolerance"), "must be true: the probe says whether the Deployment is available")
        return {
            "type": "kubernetes",
            "kind": "Deployment",
            "object": text(arguments.get("name")),
            "condition": "FullyAvailable",
        }
    if function in PROMETHEUS_PROBES:
        findings.only(where, arguments, {"query"})
        return _prometheus(text(arguments.get("query")), probe["tolerance"], (*at, "tolerance"), findings)
    known = ", ".join(sorted(name for _, name in DEPLOYMENT_PROBES | PROMETHEUS_PROBES))
    findings.refuse((*at, "provider", "func"), f"{'.'.join(function)} is not imported; imported are {known}, and HTTP")
    return None


def _prometheus(query: str, tolerance: object, location: Location, findings: Findings) -> JsonObject | None:
    """Return the check of a query, which must give one value: that of the tolerance."""
    wanted = mapping(tolerance)
    expected = items(wanted.get("expect")) or [wanted.get("expect")]
    known = wanted.get("type") == "jsonpath" and wanted.get("path") in VALUE_PATHS and len(expected) == 1
    try:
        value = float(text(expected[0])) if known else None
    except ValueError:
        value = None
    if value is None:
        findings.refuse(location, "must be a jsonpath to the value of a query, and expect one number")
        return None
    findings.note("Connect the Prometheus of the probes by `assay chaos connect`.")
    return {"type": "prometheus", "query": query, "above": value, "below": value}
