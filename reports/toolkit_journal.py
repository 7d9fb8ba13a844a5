"""The journal of an execution in the format of Chaos Toolkit, for tools that read those.

Chaos Toolkit knows no inconclusive: such a part has no `tolerance_met`, and the whole no `deviated`. We judge once, at
the end, so all probes stand under `during`.
Source: chaoslib/run.py and types.py of chaostoolkit/chaostoolkit-lib 1.45.
"""

from datetime import datetime

from pydantic import JsonValue

from model.json_values import JsonObject, json_list, json_object

STATUSES = {"completed": "completed", "aborted": "aborted", "failed": "failed"}
MET = {"met": True, "not met": False, "inconclusive": None}


def toolkit_journal(journal: JsonObject) -> JsonObject:
    """Return our JSON journal as one of Chaos Toolkit. Times are in UTC, durations in seconds."""
    experiment = json_object(journal["experiment"])
    validated = journal["hypothesisValidated"]
    begins, ends = str(journal["startedAt"]), str(journal["endedAt"])
    probes = [_slo(json_object(one), begins, ends) for one in json_list(journal["slos"])]
    probes += [_check(json_object(one), begins, ends) for one in json_list(journal["healthChecks"])]
    faults = [json_object(one) for one in json_list(journal["faults"])]
    return {
        "chaoslib-version": "1.45.0",
        "platform": "assay",
        "node": str(journal["executionId"]),
        "experiment": _experiment(experiment),
        "start": begins,
        "end": ends,
        "duration": _seconds(begins, ends),
        "status": STATUSES[str(journal["status"])],
        "deviated": None if validated is None else not validated,
        "steady_states": {
            "before": None,
            "during": [{"steady_state_met": validated, "probes": list(probes)}],
            "after": None,
        },
        "run": [_injected(one) for one in faults],
        "rollbacks": [_reverted(one) for one in faults if one["injectedAt"]],
        "extensions": [{"name": "assay", "verdict": journal["verdict"], "reason": journal["reason"]}],
    }


def _experiment(experiment: JsonObject) -> JsonObject:
    hypothesis = json_object(experiment["hypothesis"])
    return {
        "title": experiment["name"],
        "description": experiment.get("description") or experiment["name"],
        "steady-state-hypothesis": {"title": hypothesis.get("title") or "the hypothesis holds", "probes": []},
        "method": [_action(str(json_object(one)["type"]), "inject") for one in json_list(experiment["faults"])],
        "rollbacks": [_action(str(json_object(one)["type"]), "revert") for one in json_list(experiment["faults"])],
    }


def _action(kind: str, function: str) -> JsonObject:
    return {
        "type": "action",
        "name": f"{function} {kind}",
        "provider": {"type": "python", "module": "assay", "func": function, "arguments": {"type": kind}},
    }


def _slo(slo: JsonObject, begins: str, ends: str) -> JsonObject:
    output: JsonObject = {key: slo[key] for key in ("judgement", "reason", "baseline", "fault", "recovery")}
    return _probe(str(slo["slo"]), output, (begins, ends))


def _check(check: JsonObject, begins: str, ends: str) -> JsonObject:
    output: JsonObject = {"judgement": check["judgement"], "longestMiss": check["longestMiss"]}
    return _probe(str(check["check"]), output, (begins, ends))


def _probe(name: str, output: JsonObject, times: tuple[str, str]) -> JsonObject:
    activity: JsonObject = {
        "type": "probe",
        "name": name,
        "provider": {"type": "python", "module": "assay", "func": "judge", "arguments": {"name": name}},
    }
    return {
        "activity": activity,
        "output": output,
        "status": "succeeded",
        "tolerance_met": MET[str(output["judgement"])],
        **_times(*times),
    }


def _injected(fault: JsonObject) -> JsonObject:
    begins, ends = fault["injectedAt"], fault["revertedAt"]
    return {
        "activity": _action(str(fault["type"]), "inject"),
        "output": {"target": fault["target"], "effect": fault["effect"]},
        "status": "succeeded" if begins else "failed",
        **_times(begins, ends),
    }


def _reverted(fault: JsonObject) -> JsonObject:
    at = fault["revertedAt"]
    return {
        "activity": _action(str(fault["type"]), "revert"),
        "output": {"left": fault["left"]},
        "status": "succeeded" if fault["status"] == "reverted" else "failed",
        **_times(at, at),
    }


def _times(begins: JsonValue, ends: JsonValue) -> JsonObject:
    whole = begins is not None and ends is not None
    return {"start": begins, "end": ends, "duration": _seconds(str(begins), str(ends)) if whole else None}


def _seconds(begins: str, ends: str) -> float:
    return (datetime.fromisoformat(ends) - datetime.fromisoformat(begins)).total_seconds()
