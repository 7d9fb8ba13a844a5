"""Schedules, workflows and status checks of Chaos Mesh. A template's deadline is how long its fault lasts.

Source: schedule_types.go, workflow_types.go and statuscheck_types.go of chaos-mesh/chaos-mesh 2.8.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from chaos.imports.collecting import Findings, ImportedCheck
from chaos.imports.mesh_faults import KINDS, REFUSED, MeshSpec, mesh_faults
from chaos.imports.quantities import number_of, seconds_of, whole_of
from chaos.imports.stages import Piece, Stage, Visits, in_turn, together
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around a spec: the namespace of its object, labels and number of pods that were asked for."""

    namespace: str
    labels: Mapping[str, str]
    count: int | None
    findings: Findings

    def faults(self, kind: str, spec: Mapping[str, object], at: Location) -> Piece:
        """Return the faults of a spec as one stage."""
        given = MeshSpec(
            kind=kind,
            spec=spec,
            at=at,
            namespace=self.namespace,
            labels=self.labels,
            count=self.count,
            findings=self.findings,
        )
        made = mesh_faults(given)
        return Piece(stages=(Stage(faults=made),) if made else ())


def spec_key(kind: str) -> str:
    """Return the key of a kind within a template: PodChaos becomes podChaos, HTTPChaos httpChaos."""
    start = len(kind) - len(kind.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    first = max(start - 1, 1)
    return kind[:first].lower() + kind[first:]


def read_schedule(raw: Mapping[str, object], at: Location, around: Around) -> Piece:
    """Return what a Schedule makes, and when."""
    spec, where, findings = mapping(raw.get("spec")), (*at, "spec"), around.findings
    kind = text(spec.get("type"))
    key = spec_key(kind) if kind else "type"
    findings.only(
        where, spec, {"schedule", "type", "historyLimit", "concurrencyPolicy", "startingDeadlineSeconds", key}
    )
    when = _when(text(spec.get("schedule")), (*where, "schedule"), findings)
    if text(spec.get("concurrencyPolicy") or "Forbid") != "Forbid":
        findings.note("An experiment runs once at a time: a second one waits for its targets.")
    if kind == "Workflow":
        made = read_templates(mapping(spec.get(key)), (*where, key), around)
    else:
        made = around.faults(kind, mapping(spec.get(key)), (*where, key))
    return replace(made, schedules=(when,))


def _when(written: str, at: Location, findings: Findings) -> JsonObject:
    if not written:
        findings.refuse(at, "is required")
    if not written.startswith("@every "):
        zone, _, cron = written.partition(" ") if written.startswith(("TZ=", "CRON_TZ=")) else ("", "", written)
        made: JsonObject = {"cron": cron}
        return made | ({"timezone": zone.partition("=")[2]} if zone else {})
    return {"interval": max(round(seconds_of(written.removeprefix("@every "), at, findings)), 1)}


def read_templates(spec: Mapping[str, object], at: Location, around: Around) -> Piece:
    """Return what a workflow does, from its entry on."""
    templates = {
        text(mapping(one).get("name")): (mapping(one), (*at, "templates", number))
        for number, one in enumerate(items(spec.get("templates")))
    }
    entry = text(spec.get("entry"))
    if entry not in templates:
        around.findings.refuse((*at, "entry"), "must be the name of a template")
        return Piece()
    return _Templates(all=templates, around=around).read(entry, (*at, "entry"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Templates:
    all: Mapping[str, tuple[dict[str, object], Location]]
    around: Around
    visits: Visits = field(default_factory=Visits)

    def read(self, name: str, at: Location) -> Piece:
        refuse = partial(self.around.findings.refuse, at)
        if name not in self.all:
            refuse(f"{name!r} is no template of this workflow")
            return Piece()
        return self.visits.visit(name, lambda: self._read(name), refuse)

    def _read(self, name: str) -> Piece:
        template, where = self.all[name]
        kind, findings = text(template.get("templateType")), self.around.findings
        match kind:
            case "Serial" | "Parallel":
                children = [
                    self.read(text(child), (*where, "children", number))
                    for number, child in enumerate(items(template.get("children")))
                ]
                made = in_turn(children) if kind == "Serial" else together(children, where, findings)
                self._deadline(template, made, where)
                return made
            case "Suspend":
                pause = seconds_of(template.get("deadline"), (*where, "deadline"), findings)
                return Piece(stages=(Stage(pause_seconds=pause),))
            case "StatusCheck":
                abort = template.get("abortWithStatusCheck") is True
                check = mapping(template.get("statusCheck"))
                return status_check(check, (*where, "statusCheck"), (name, abort), findings)
            case "Task":
                findings.refuse((*where, "task"), "would run a program: it is not executed")
                return Piece()
            case _:
                return self._fault(template, kind, where)

    def _deadline(self, template: dict[str, object], made: Piece, at: Location) -> None:
        """Refuse a deadline that would end faults before their own time is over. A later one changes nothing."""
        if not template.get("deadline"):
            return
        findings, where = self.around.findings, (*at, "deadline")
        most = seconds_of(template["deadline"], where, findings)
        if made.seconds is None or made.seconds > most:
            findings.refuse(where, "ends several faults before their time: give each its own deadline, or a later one")

    def _fault(self, template: dict[str, object], kind: str, at: Location) -> Piece:
        key, findings = spec_key(kind) if kind else "templateType", self.around.findings
        if kind not in KINDS and kind not in REFUSED:
            findings.refuse((*at, "templateType"), f"{kind or 'none'} has no counterpart here")
            return Piece()
        findings.only(at, template, {"name", "templateType", "deadline", key})
        spec = dict(mapping(template.get(key)))
        if template.get("deadline") and "duration" not in spec:
            spec["duration"] = template["deadline"]
        return self.around.faults(kind, spec, (*at, key))


def status_check(spec: Mapping[str, object], at: Location, named: tuple[str, bool], findings: Findings) -> Piece:
    """Return a status check as a health check; as a halt condition too, if it aborts the workflow."""
    name, aborts = named
    allowed = {"mode", "type", "duration", "intervalSeconds", "timeoutSeconds", "failureThreshold", "successThreshold"}
    findings.only(at, spec, {*allowed, "recordsHistoryLimit", "http"})
    if text(spec.get("type") or "HTTP") != "HTTP":
        findings.refuse((*at, "type"), "must be HTTP")
    http, where = mapping(spec.get("http")), (*at, "http")
    findings.only(where, http, {"url", "method", "criteria"})
    if text(http.get("method") or "GET") != "GET":
        findings.refuse((*where, "method"), "a health check asks by GET")
    criteria = mapping(http.get("criteria"))
    findings.only((*where, "criteria"), criteria, {"statusCode"})
    status = whole_of(criteria.get("statusCode", "200"), (*where, "criteria", "statusCode"), findings)
    failures = whole_of(spec.get("failureThreshold", 3), (*at, "failureThreshold"), findings)
    check: JsonObject = {
        "name": name,
        "type": "http",
        "url": text(http.get("url")),
        "status": status,
        "failures": failures,
        "intervalSeconds": number_of(spec.get("intervalSeconds", 10), (*at, "intervalSeconds"), findings),
        "timeoutSeconds": number_of(spec.get("timeoutSeconds", 1), (*at, "timeoutSeconds"), findings),
    }
    halts: tuple[JsonObject, ...] = ({"healthCheck": name, "failures": failures},) if aborts else ()
    return Piece(checks=(ImportedCheck(check=check, location=at),), halts=halts)
