"""Workflows of Argo as Litmus writes them: steps whose templates carry ChaosEngines. No container of them is run.

A template that only installs experiments, or only deletes engines, is left out: Assay does both itself. Any other
container is refused by name. Source: the workflow format of argoproj/argo-workflows v1alpha1, and its use by Litmus 3.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from chaos.imports.collecting import Findings
from chaos.imports.quantities import seconds_of
from chaos.imports.stages import Piece, Stage, Visits, in_turn, together
from model.document import read_yaml_documents
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.plain import plain
from model.problems import InvalidError, Location

WORKFLOWS = frozenset({"Workflow", "CronWorkflow", "WorkflowTemplate"})
_PARAMETER = re.compile(r"\{\{\s*workflow\.parameters\.([\w.-]+)\s*\}\}")
_HARMLESS = r"[^;&|`$<>\n]*"
_SLEEP = re.compile(r"sleep (\d{1,9})")
_SET_UP = re.compile(
    rf"(kubectl apply -f (https://hub\.litmuschaos\.io/|/tmp/){_HARMLESS}|kubectl delete chaosengines?\b{_HARMLESS}"
    r"|sleep \d+)"
)

ReadObject = Callable[[object, Location], Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the objects of a workflow are read. `variables` replace its parameters."""

    read: ReadObject
    findings: Findings
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workflow:
    templates: Mapping[str, tuple[dict[str, object], Location]]
    parameters: Mapping[str, str]
    read: ReadObject
    findings: Findings
    visits: Visits = field(default_factory=Visits)


def embedded(raw: Mapping[str, object], at: Location, variables: Mapping[str, str]) -> list[tuple[object, Location]]:
    """Return all objects that the templates of a workflow carry, each with its location."""
    quiet = Reader(read=lambda _raw, _at: Piece(), findings=Findings(), variables=variables)
    _, workflow = _opened(raw, at, quiet)
    return [one for template, where in workflow.templates.values() for one in _carried(template, where, workflow)]


def read_workflow(raw: Mapping[str, object], at: Location, reader: Reader) -> Piece:
    """Return what a workflow does."""
    spec, workflow = _opened(raw, at, reader)
    findings = reader.findings
    entry = text(spec.get("entrypoint"))
    where = (*at, "spec", "workflowSpec") if raw.get("kind") == "CronWorkflow" else (*at, "spec")
    if entry not in workflow.templates:
        findings.refuse((*where, "entrypoint"), "must be the name of a template")
        return Piece()
    done = _template(entry, (*where, "entrypoint"), workflow)
    name = text(mapping(raw.get("metadata")).get("name")) or text(mapping(raw.get("metadata")).get("generateName"))
    named = Piece(names=(name.rstrip("-"),) if name else (), schedules=_schedules(raw, at, findings))
    return in_turn([named, done])


def _opened(raw: Mapping[str, object], at: Location, reader: Reader) -> tuple[dict[str, object], _Workflow]:
    spec, where = mapping(raw.get("spec")), (*at, "spec")
    if raw.get("kind") == "CronWorkflow":
        spec, where = mapping(spec.get("workflowSpec")), (*where, "workflowSpec")
    listed = [(mapping(one), (*where, "templates", number)) for number, one in enumerate(items(spec.get("templates")))]
    parameters = {
        text(mapping(one).get("name")): text(mapping(one).get("value"))
        for one in items(mapping(spec.get("arguments")).get("parameters"))
    }
    templates = {text(template.get("name")): (template, location) for template, location in listed}
    parameters |= reader.variables
    return spec, _Workflow(templates=templates, parameters=parameters, read=reader.read, findings=reader.findings)


def _schedules(raw: Mapping[str, object], at: Location, findings: Findings) -> tuple[JsonObject, ...]:
    if raw.get("kind") != "CronWorkflow":
        return ()
    spec, where = mapping(raw.get("spec")), (*at, "spec")
    if spec.get("suspend") is True:
        findings.note("The schedule was suspended: `assay chaos deploy` would start it.")
    if text(spec.get("concurrencyPolicy") or "Allow") == "Allow":
        findings.note("An experiment runs once at a time: a second one waits for its targets.")
    crons = [spec.get("schedule"), *items(spec.get("schedules"))]
    zone = text(spec.get("timezone"))
    made: list[JsonObject] = [{"cron": text(cron)} for cron in crons if text(cron)]
    if zone:
        made = [one | {"timezone": zone} for one in made]
    if not made:
        findings.refuse((*where, "schedule"), "is required")
    return tuple(made)


def _template(name: str, at: Location, workflow: _Workflow) -> Piece:
    """Return what a template does, where it is named."""
    if name not in workflow.templates:
        workflow.findings.refuse(at, f"{name!r} is no template of this workflow")
        return Piece()
    template, where = workflow.templates[name]
    refuse = partial(workflow.findings.refuse, at)
    return workflow.visits.visit(name, lambda: _done(template, where, workflow), refuse)


def _done(template: dict[str, object], where: Location, workflow: _Workflow) -> Piece:
    """Return the steps of a template, or the objects that it carries."""
    findings = workflow.findings
    if "steps" in template:
        stages = [
            _together(items(group), (*where, "steps", number), workflow)
            for number, group in enumerate(items(template.get("steps")))
        ]
        return in_turn(stages)
    if "suspend" in template:
        pause = mapping(template.get("suspend")).get("duration")
        return Piece(stages=(Stage(pause_seconds=seconds_of(pause, (*where, "suspend", "duration"), findings)),))
    carried = _carried(template, where, workflow)
    engines = [one for one in carried if mapping(one[0]).get("kind") != "ChaosExperiment"]
    if not carried and (pause := _slept(template, workflow)) is not None:
        return Piece(stages=(Stage(pause_seconds=pause),))
    if not carried and not _is_set_up(template, workflow):
        _refuse_program(template, where, findings)
    return together([workflow.read(document, location) for document, location in engines], where, findings)


def _together(group: list[object], at: Location, workflow: _Workflow) -> Piece:
    pieces = []
    for number, raw in enumerate(group):
        step, where = mapping(raw), (*at, number)
        workflow.findings.only(where, step, {"name", "template"})
        pieces.append(_template(text(step.get("template")), (*where, "template"), workflow))
    return together(pieces, at, workflow.findings)


def _commands(template: dict[str, object], workflow: _Workflow) -> list[str]:
    """Return the commands of a template's container, one after the other."""
    container = mapping(template.get("container"))
    words = [text(word) for word in [*items(container.get("command")), *items(container.get("args"))]]
    script = _filled(
        " ".join(word for word in words if word not in {"sh", "-c", "/bin/sh", "/bin/bash", "bash"}), workflow
    )
    return [part.strip() for part in re.split(r"[;\n]|&&", script) if part.strip()]


def _slept(template: dict[str, object], workflow: _Workflow) -> float | None:
    """Return how long a template waits that does nothing else, None if it does."""
    waits = [_SLEEP.fullmatch(command) for command in _commands(template, workflow)]
    found = [float(wait.group(1)) for wait in waits if wait]
    return sum(found) if waits and len(found) == len(waits) else None


def _is_set_up(template: dict[str, object], workflow: _Workflow) -> bool:
    """Say whether a template only installs experiments or deletes engines."""
    parts = _commands(template, workflow)
    if not parts or not all(_SET_UP.fullmatch(part) for part in parts):
        return False
    workflow.findings.note(
        "Templates that install experiments or delete engines are left out: Assay takes faults back."
    )
    return True


def _refuse_program(template: dict[str, object], at: Location, findings: Findings) -> None:
    kinds = [key for key in ("container", "script", "dag", "http", "data", "containerSet", "plugin") if key in template]
    if kinds == ["dag"]:
        findings.refuse((*at, "dag"), "is no list of steps: write it as `steps`")
        return
    image = text(mapping(template.get(kinds[0])).get("image")) if kinds else ""
    findings.refuse(
        (*at, *kinds[:1]),
        f"would run a program{f' of {image}' if image else ''}: it is not executed; take its step out of the file",
    )


def _filled(written: str, workflow: _Workflow) -> str:
    return _PARAMETER.sub(lambda found: workflow.parameters.get(found.group(1), found.group(0)), written)


def _carried(template: dict[str, object], at: Location, workflow: _Workflow) -> list[tuple[object, Location]]:
    """Return the objects of Kubernetes that a template carries as text."""
    texts: list[tuple[object, Location]] = [
        (mapping(mapping(one).get("raw")).get("data"), (*at, "inputs", "artifacts", number, "raw", "data"))
        for number, one in enumerate(items(mapping(template.get("inputs")).get("artifacts")))
    ]
    texts.append((mapping(template.get("resource")).get("manifest"), (*at, "resource", "manifest")))
    found: list[tuple[object, Location]] = []
    for written, location in texts:
        if not isinstance(written, str):
            continue
        try:
            documents = read_yaml_documents(_filled(written, workflow))
        except InvalidError as error:
            workflow.findings.refuse(location, error.problems[0].message)
            continue
        if endless := plain(documents).unbounded:
            workflow.findings.refuse(location, endless[0].message)
            continue
        found += [
            (document, (*location, *([number] if len(documents) > 1 else [])))
            for number, document in enumerate(documents)
        ]
    return found
