"""An experiment of Chaos Toolkit as one of ours: probes become health checks, actions faults, rollbacks our own revert.

Two things are stricter here, and the notes say so: the hypothesis is judged under the fault too, not only before and
after; and faults are always reverted, whereas rollbacks are not played after a failure by default.
Source: the experiment format of chaostoolkit/chaostoolkit-lib 1.45.
"""

from collections.abc import Mapping
from contextlib import suppress

from chaos.experiment_reading import check_experiment
from chaos.imports.assembling import CHECKS, DEFAULT_SECONDS, HALT_AFTER, Imported
from chaos.imports.collecting import Findings, ImportedFault, configured
from chaos.imports.stages import SHORTEST_SECONDS
from chaos.imports.toolkit_actions import ACTIONS, REVERTS, fault_of_action
from chaos.imports.toolkit_pauses import gaps, slept
from chaos.imports.toolkit_probes import health_check
from model.json_values import JsonObject, json_object
from model.lenient import items, mapping, text
from model.problems import Finding, InvalidError, Location

KEYS = {"version", "title", "description", "steady-state-hypothesis", "method", "rollbacks", "runtime"}
KEYS |= {"configuration", "tags", "contributions", "secrets", "controls"}
LEFT_OUTSIDE = {
    "controls": "run code of their own, and nothing of a file is executed: take them out of the file",
    "secrets": "are never imported: take them out; `assay cluster add` and `assay chaos connect` hold them",
}
REASON = "imported from Chaos Toolkit, which has no such check"


def import_toolkit(
    raw: object, cluster: str, seconds: int | None = None, variables: Mapping[str, str] | None = None
) -> Imported:
    """Return an experiment of Chaos Toolkit as ours, on a cluster. `seconds` is its duration; default: its pauses.

    `variables` replace values of its configuration, as `chaos run --var` does; a number in them is one.
    Raises: InvalidError with everything that has no counterpart.
    """
    findings = Findings()
    document = mapping(raw)
    if not document:
        raise InvalidError([finding.problem() for finding in [_not_an_experiment()]])
    findings.only((), document, KEYS)
    document = {**document, "configuration": _configuration(document, variables or {}, findings)}
    document |= {key: _resolved(document, key, findings) for key in ("title", "method", "steady-state-hypothesis")}
    for key, words in LEFT_OUTSIDE.items():
        if document.get(key):
            findings.refuse((key,), words)
    waits = gaps(items(document.get("method")), findings)
    faults = _faults(document, waits, findings)
    namespace = faults[0].namespace if faults else "default"
    checks = _checks(document, namespace, findings)
    _rollbacks(document, findings)
    _strategies(document, findings)
    if findings.problems:
        raise InvalidError(finding.problem() for finding in findings.problems)
    made = _document(document, faults, checks)
    made["target"] = {"cluster": cluster, **json_object(made["target"])}
    made["order"] = "sequence" if _in_turn(waits) else "parallel"
    if faults[0].count is None:
        findings.note("All pods that match are targets: raise blastRadius.maxTargets to what `plan` shows.")
    made["durationSeconds"] = seconds or _duration(waits, faults, findings)
    try:
        check_experiment(made)
    except InvalidError as wrong:
        raise wrong.under("imported") from wrong
    return Imported(document=made, notes=tuple(findings.notes))


def _not_an_experiment() -> Finding:
    return Finding(location=(), message="is no experiment of Chaos Toolkit: an object with title and method")


def _configuration(document: dict[str, object], variables: Mapping[str, str], findings: Findings) -> dict[str, object]:
    """Return the configuration with the values that were given, else with the defaults of the file."""
    made = dict(mapping(document.get("configuration")))
    for name, value in made.items():
        if name not in variables and mapping(value).get("type") == "env" and "default" in mapping(value):
            made[name] = mapping(value)["default"]
            findings.note(f"{name} has the default of the file; --var {name}=VALUE gives another one.")
    return {**made, **{name: _typed(value) for name, value in variables.items()}}


def _typed(value: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value


def _resolved(document: dict[str, object], key: str, findings: Findings) -> object:
    return configured(document.get(key), mapping(document.get("configuration")), (key,), findings)


def _checks(document: dict[str, object], namespace: str, findings: Findings) -> list[JsonObject]:
    hypothesis = mapping(document.get("steady-state-hypothesis"))
    at: Location = ("steady-state-hypothesis", "probes")
    probes = items(hypothesis.get("probes"))
    if not probes:
        findings.refuse(at, "is required: an experiment without a hypothesis finds nothing; add a probe of HTTP")
    checks = [health_check(probe, (*at, number), namespace, findings) for number, probe in enumerate(probes)]
    return [check for check in checks if check is not None]


def _faults(document: dict[str, object], waits: list[float], findings: Findings) -> list[ImportedFault]:
    found = []
    probes = _probe_names(document)
    for number, activity in enumerate(items(document.get("method"))):
        at: Location = ("method", number)
        name = text(mapping(activity).get("ref") or mapping(activity).get("name"))
        if slept(activity, at, Findings()) is not None:
            findings.note(f"{name!r} only sleeps, so it is a pause here.")
        elif "ref" in mapping(activity) and name not in probes:
            findings.refuse((*at, "ref"), "write the activity itself: a reference to an action is not imported")
        elif "ref" in mapping(activity) or mapping(activity).get("type") == "probe":
            findings.note(f"The probe {name!r} of the method is left out: it only records, and decides nothing.")
        elif fault := fault_of_action(activity, at, findings):
            found.append(fault)
    if not found and not findings.problems:
        findings.refuse(("method",), f"has no action that is imported: {', '.join(name for _, name in ACTIONS)}")
    _together_or_in_turn(waits, found, findings)
    places = {(one.namespace, tuple(sorted(one.labels.items())), one.count) for one in found}
    if len(places) > 1 and not findings.unknown:
        findings.refuse(("method",), "aims at several targets; an experiment has one")
    return found


def _probe_names(document: dict[str, object]) -> set[str]:
    """Return the names of all probes, which a method may refer to."""
    hypothesis = mapping(document.get("steady-state-hypothesis"))
    method = [one for one in map(mapping, items(document.get("method"))) if one.get("type") == "probe"]
    return {text(one.get("name")) for one in [*map(mapping, items(hypothesis.get("probes"))), *method]}


def _rollbacks(document: dict[str, object], findings: Findings) -> None:
    for number, activity in enumerate(items(document.get("rollbacks"))):
        provider = mapping(mapping(activity).get("provider"))
        function = (text(provider.get("module")), text(provider.get("func")))
        if function not in REVERTS:
            findings.refuse(("rollbacks", number), "does more than taking back an imported fault: it is not executed")
    findings.note("Every fault is reverted always, also after a failure: there is no strategy for rollbacks.")


def _strategies(document: dict[str, object], findings: Findings) -> None:
    runtime = mapping(document.get("runtime"))
    findings.only(("runtime",), runtime, {"rollbacks", "hypothesis"})
    strategy = text(mapping(runtime.get("hypothesis")).get("strategy") or "default")
    if strategy == "skip":
        findings.refuse(("runtime", "hypothesis", "strategy"), "skip: an experiment without a hypothesis finds nothing")
    findings.note(f"The hypothesis is judged before, under and after the fault; its strategy was {strategy!r}.")


def _in_turn(waits: list[float]) -> bool:
    return any(wait > 0 for wait in waits[:-1])


def _together_or_in_turn(waits: list[float], faults: list[ImportedFault], findings: Findings) -> None:
    """Give faults that come one after the other their lengths. A fault that goes on meanwhile cannot be said here."""
    if any(wait != int(wait) for wait in waits):
        findings.refuse(("method",), "must wait for whole seconds after each of its actions")
    if findings.problems or not _in_turn(waits):
        return
    if not all(mapping(one.fault["parameters"]).get("once") for one in faults):
        findings.refuse(("method",), "begins a fault while another one goes on; here they are together or in turn")
        return
    if min(waits) < SHORTEST_SECONDS:
        findings.note(f"Pauses between kills are {SHORTEST_SECONDS} s here at least.")
    for one, wait in zip(faults, waits, strict=True):
        one.fault["durationSeconds"] = max(int(wait), SHORTEST_SECONDS)


def _duration(waits: list[float], faults: list[ImportedFault], findings: Findings) -> int:
    """Return how long the faults last: what they say themselves, else the pauses of the method."""
    said = [int(value) for one in faults if isinstance(value := one.fault.get("durationSeconds"), int)]
    if _in_turn(waits):
        return sum(said)
    paused = int(sum(waits))
    if not said and not paused:
        findings.note(f"The file does not say how long the faults last: here {DEFAULT_SECONDS} s, or --seconds N.")
        return DEFAULT_SECONDS
    if max(*said, paused, 0) < SHORTEST_SECONDS:
        findings.note(f"An experiment lasts {SHORTEST_SECONDS} s at least.")
    return max(*said, paused, SHORTEST_SECONDS)


def _document(document: dict[str, object], faults: list[ImportedFault], checks: list[JsonObject]) -> JsonObject:
    first = faults[0]
    target: JsonObject = {"namespace": first.namespace, "labels": dict(first.labels)}
    if first.count is not None:
        target["count"] = first.count
    hypothesis = mapping(document.get("steady-state-hypothesis"))
    return {
        "name": text(document.get("title")),
        "description": text(document.get("description")),
        "faults": [dict(one.fault) for one in faults],
        "target": target,
        "hypothesis": {"title": text(hypothesis.get("title")), "healthChecks": list(checks)},
        "blastRadius": {"maxTargets": first.count or 1},
        "haltConditions": [{"healthCheck": check["name"], "failures": HALT_AFTER} for check in checks],
        "safetyChecks": {name: {"none": REASON} for name in CHECKS},
    }
