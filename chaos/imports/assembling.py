"""Puts what was read from another tool's file together as an experiment in its written form, and checks it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.experiment_reading import check_experiment
from chaos.imports.collecting import Findings, ImportedCheck, ImportedFault
from chaos.imports.stages import SHORTEST_SECONDS, Piece, without_pauses
from model.json_values import JsonObject
from model.lenient import mapping, text
from model.problems import Finding, InvalidError, Location, Problem

DEFAULT_SECONDS = 60
CHECKS = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
HALT_AFTER = 5
"""Misses in a row that end an experiment whose file names no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Our experiment in its written form, and what its owner must know about the translation."""

    document: JsonObject
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a file may leave open: the cluster, how long faults last, which and how many pods, what must answer.

    `variables` are values of its configuration (Chaos Toolkit) or of its parameters (workflows of Argo).
    """

    cluster: str
    seconds: int | None = None
    count: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    health: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def assemble(piece: Piece, tool: str, options: Options, findings: Findings) -> Imported:
    """Return the experiment. Raises: InvalidError with all problems, also those of the experiment itself."""
    found = (*piece.checks, *_named(options.health))
    checks = _with_own_names([one.check for one in found])
    if not checks and piece.faults:
        findings.refuse((), "does not say what must stay true: name an address that must answer, by --health URL")
    if not piece.faults:
        if not findings.problems:
            findings.refuse((), f"has no fault of {tool} that is imported")
        raise InvalidError(finding.problem() for finding in findings.problems)
    whole = without_pauses(piece, findings)
    _one_target(whole.faults, findings)
    in_turn = _order(whole, findings)
    document = _document(whole, checks, tool, options.cluster)
    document["order"] = "sequence" if in_turn else "parallel"
    _lengths(document, whole, options.seconds)
    _tell_lengths(document, whole, findings)
    problems = {finding.problem() for finding in findings.problems}
    problems |= set(_own_problems(document, whole.faults, found))
    if problems:
        raise InvalidError(problems)
    if whole.faults[0].count is None:
        findings.note("All pods that match are targets: raise blastRadius.maxTargets to what `plan` shows.")
    return Imported(document=document, notes=tuple(findings.notes))


def _named(addresses: tuple[str, ...]) -> list[ImportedCheck]:
    return [
        ImportedCheck(check={"name": f"health {number}", "type": "http", "url": address}, location=("--health",))
        for number, address in enumerate(addresses, start=1)
    ]


def _with_own_names(checks: list[JsonObject]) -> list[JsonObject]:
    """Return the checks with names of their own: a file may use a name again in each of its experiments."""
    seen: dict[str, int] = {}
    named = []
    for check in checks:
        name = text(check["name"])
        seen[name] = seen.get(name, 0) + 1
        named.append(check if seen[name] == 1 else check | {"name": f"{name} {seen[name]}"})
    return named


def _one_target(faults: tuple[ImportedFault, ...], findings: Findings) -> None:
    selected = [one for one in faults if one.labels]  # the others are refused already
    places = {(one.namespace, tuple(sorted(one.labels.items())), one.count): one for one in selected}
    for one in list(places.values())[1:]:
        findings.refuse(one.location, "aims at other targets than the first fault: write one file for each target")


def _order(piece: Piece, findings: Findings) -> bool:
    """Say whether the faults come in turn."""
    in_turn = len(piece.stages) > 1
    if in_turn and any(len(stage.faults) > 1 for stage in piece.stages):
        where = next(stage.faults[1].location for stage in piece.stages if len(stage.faults) > 1)
        findings.refuse(where, "is together with another fault, and others come later: write one file for each part")
    return in_turn


def _document(piece: Piece, checks: list[JsonObject], tool: str, cluster: str) -> JsonObject:
    first = piece.faults[0]
    target: JsonObject = {"cluster": cluster, "namespace": first.namespace, "labels": dict(first.labels)}
    halted = {halt["healthCheck"] for halt in piece.halts}
    reason = f"imported from {tool}, which has no such check"
    document: JsonObject = {
        "name": next(iter(piece.names), "imported"),
        "faults": [dict(one.fault) for one in piece.faults],
        "target": target | ({} if first.count is None else {"count": first.count}),
        "hypothesis": {"healthChecks": list(checks)},
        "blastRadius": {"maxTargets": first.count or 1},
        "haltConditions": [
            *piece.halts,
            *(_halt(check, piece.seconds or DEFAULT_SECONDS) for check in checks if check["name"] not in halted),
        ],
        "safetyChecks": {name: {"none": reason} for name in CHECKS},
    }
    return document | ({"schedule": {"recurring": list(piece.schedules)}} if piece.schedules else {})


def _halt(check: JsonObject, seconds: float) -> JsonObject:
    """Return a limit on the misses of a check that can be reached before the faults end."""
    interval = check.get("intervalSeconds", 1.0)
    fitting = int(seconds / interval) if isinstance(interval, int | float) and interval > 0 else HALT_AFTER
    return {"healthCheck": check["name"], "failures": max(1, min(HALT_AFTER, fitting))}


def _lengths(document: JsonObject, piece: Piece, seconds: int | None) -> None:
    """Set how long everything lasts: what the faults say, else what was asked for. In turn, each needs a length."""
    faults = [mapping(fault) for fault in document["faults"]] if isinstance(document["faults"], list) else []
    if len(piece.stages) > 1:
        for fault in faults:
            fault.setdefault("durationSeconds", SHORTEST_SECONDS)
    said = [length for fault in faults if isinstance(length := fault.get("durationSeconds"), int)]
    whole = sum(said) if len(piece.stages) > 1 else max(said, default=DEFAULT_SECONDS)
    document["durationSeconds"] = seconds or max(whole, SHORTEST_SECONDS)


def _tell_lengths(document: JsonObject, piece: Piece, findings: Findings) -> None:
    """Say how long faults last that the file leaves active until their object is deleted."""
    for one in piece.faults:
        if "durationSeconds" not in one.fault and not mapping(one.fault.get("parameters")).get("once"):
            length = f"{document['durationSeconds']} s, or --seconds N"
            findings.note(f"The file does not say how long {one.fault['type']} lasts: here {length}.")


def _own_problems(
    document: JsonObject, faults: tuple[ImportedFault, ...], checks: Sequence[ImportedCheck]
) -> list[Problem]:
    """Return what is wrong with the experiment itself. A problem of a part stands where the file has that part."""
    places = [(f"faults[{number}]", fault.location) for number, fault in enumerate(faults)]
    places += [(f"hypothesis.healthChecks[{number}]", check.location) for number, check in enumerate(checks)]
    try:
        check_experiment(document)
    except InvalidError as wrong:
        return [_where_it_stands(problem, places) for problem in wrong.problems if _is_own(problem, document)]
    return []


def _is_own(problem: Problem, document: JsonObject) -> bool:
    """Say whether a problem does not just follow from one that was told already."""
    hypothesis, target = mapping(document["hypothesis"]), mapping(document["target"])
    if problem.path.startswith("target") and (not target.get("labels") or "{{" in text(target.get("namespace"))):
        return False
    return bool(hypothesis.get("healthChecks")) or not problem.path.startswith(("hypothesis", "haltConditions"))


def _where_it_stands(problem: Problem, places: Sequence[tuple[str, Location]]) -> Problem:
    for prefix, location in places:
        if problem.path.startswith(prefix) and location:
            key = problem.path.removeprefix(prefix).lstrip(".")
            return Finding(location=location, message=f"becomes {key}, which {problem.message}").problem()
    shorter = "; --seconds N makes them shorter" if problem.path.endswith(".interval") else ""
    return Problem(path=f"imported.{problem.path}", message=f"{problem.message}{shorter}")


def at_document(number: int, of: int) -> Location:
    """Return the location of a document of a file: none if it is the only one."""
    return (number,) if of > 1 else ()
