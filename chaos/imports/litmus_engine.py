"""A ChaosEngine as faults and health checks.

A list of labels means any of them in Litmus, and a share of the pods is rounded: neither can be said here.
Source: chaosengine_types.go of litmuschaos/chaos-operator; what its fields do, in facts of the operator and litmus-go.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.imports.collecting import Findings, ImportedCheck, ImportedFault
from chaos.imports.litmus_faults import DEFAULTS, Variables, faults_of
from chaos.imports.litmus_probes import health_check
from chaos.imports.quantities import UNLABELLED, labels_of, number_of
from chaos.imports.stages import Piece, Stage, in_turn
from model.json_values import JsonObject
from model.lenient import items, mapping, text
from model.problems import Location

SPEC = {"engineState", "chaosServiceAccount", "terminationGracePeriodSeconds", "jobCleanUpPolicy", "annotationCheck"}
SPEC |= {"defaultHealthCheck", "appinfo", "selectors", "experiments", "components", "monitoring"}
WHOLE = 100
PARTITION = "pod-network-partition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """What the engines of one file share: labels and number of pods that were asked for, defaults of experiments."""

    labels: Mapping[str, str]
    count: int | None
    defaults: Mapping[str, Mapping[str, str]]
    findings: Findings


def read_engine(raw: Mapping[str, object], at: Location, shared: Engines) -> Piece:
    """Return what an engine does: its experiments one after the other."""
    spec, where, findings = mapping(raw.get("spec")), (*at, "spec"), shared.findings
    metadata = mapping(raw.get("metadata"))
    findings.only(where, spec, SPEC)
    _refuse_templates(spec, where, findings)
    if text(spec.get("engineState") or "active") != "active":
        findings.refuse((*where, "engineState"), "must be active: this engine does nothing")
    if mapping(spec.get("components")).get("sidecar"):
        findings.refuse((*where, "components", "sidecar"), "would run a program beside the experiment")
    namespace, labels = _target(raw, at, shared)
    experiments = items(spec.get("experiments"))
    if not experiments:
        findings.refuse((*where, "experiments"), "is required: an engine without an experiment does nothing")
    pieces = []
    for number, experiment in enumerate(experiments):
        location = (*where, "experiments", number)
        pieces.append(_experiment(mapping(experiment), location, (namespace, labels), shared))
    findings.note("Images, service accounts and clean-up of the file are left out: Assay makes its own engine.")
    name = text(metadata.get("name")) or text(metadata.get("generateName")).rstrip("-")
    return in_turn([Piece(names=(name,) if name else ()), *pieces])


def _refuse_templates(raw: object, at: Location, findings: Findings) -> None:
    """Refuse a value that only a run of its workflow would fill in."""
    if isinstance(raw, str) and "{{" in raw:
        findings.refuse(at, "is filled in when the workflow runs: write its value")
    for key, value in raw.items() if isinstance(raw, dict) else enumerate(items(raw)):
        _refuse_templates(value, (*at, key), findings)


def _target(raw: Mapping[str, object], at: Location, shared: Engines) -> tuple[str, dict[str, str]]:
    """Return the namespace and the labels of the pods."""
    spec, own = mapping(raw.get("spec")), text(mapping(raw.get("metadata")).get("namespace")) or "default"
    if spec.get("selectors"):
        return _selected(mapping(spec["selectors"]), (*at, "spec", "selectors"), own, shared)
    app, where, findings = mapping(spec.get("appinfo")), (*at, "spec", "appinfo"), shared.findings
    findings.only(where, app, {"appns", "applabel", "appkind"})
    namespace = text(app.get("appns")) or own
    if shared.labels:
        return namespace, dict(shared.labels)
    label = text(app.get("applabel"))
    if not label:
        findings.refuse((*where, "applabel"), f"{UNLABELLED}; give them by --target app=NAME")
        return namespace, {}
    if "," in label:
        findings.refuse(
            (*where, "applabel"), "means any of these labels; here all of them match: name one, by --target"
        )
    if app.get("appkind"):
        findings.note("The kind of the workload is left out: all pods with the label are meant.")
    return namespace, labels_of(label.split(",")[0], (*where, "applabel"), findings)


def _selected(selectors: dict[str, object], at: Location, own: str, shared: Engines) -> tuple[str, dict[str, str]]:
    chosen = [
        (mapping(one), (*at, key, number))
        for key in ("pods", "workloads")
        for number, one in enumerate(items(selectors.get(key)))
    ]
    namespaces = {text(one.get("namespace")) or own for one, _ in chosen}
    if len(namespaces) > 1:
        shared.findings.refuse(at, "selects in several namespaces: write one file for each")
    namespace = next(iter(namespaces), own)
    if shared.labels:
        return namespace, dict(shared.labels)
    [labels] = [mapping(one).get("labels") for one, _ in chosen][:1] or [None]
    if len(chosen) == 1 and labels and "," not in text(labels):
        return namespace, labels_of(labels, (*chosen[0][1], "labels"), shared.findings)
    shared.findings.refuse(at, "names objects; a target here is chosen by labels: give them by --target app=NAME")
    return namespace, {}


def _experiment(
    experiment: dict[str, object], at: Location, target: tuple[str, dict[str, str]], shared: Engines
) -> Piece:
    name, spec, findings = text(experiment.get("name")), mapping(experiment.get("spec")), shared.findings
    findings.only(at, experiment, {"name", "spec"})
    findings.only((*at, "spec"), spec, {"components", "probe", "rank"})
    probes = [
        (health_check(probe, where, findings), where)
        for number, probe in enumerate(items(spec.get("probe")))
        if (where := (*at, "spec", "probe", number))
    ]
    variables = _variables(name, mapping(spec.get("components")), at, shared)
    count = _count(name, variables, shared.count)
    namespace, labels = target
    stages = []
    for made in faults_of(name, variables):
        fault: JsonObject = {"provider": "litmus", **made}
        one = ImportedFault(fault=fault, namespace=namespace, labels=labels, count=count, location=at)
        stages.append(Stage(faults=(one,)))
    checks = tuple(ImportedCheck(check=probe, location=where) for probe, where in probes if probe)
    return Piece(stages=tuple(stages), checks=checks)


def _variables(name: str, components: dict[str, object], at: Location, shared: Engines) -> Variables:
    given: dict[str, str] = {}
    locations: dict[str, Location] = {}
    where = (*at, "spec", "components")
    for key in ("configMaps", "secrets"):
        if components.get(key):
            shared.findings.refuse((*where, key), "are files of the cluster: not imported")
    for number, raw in enumerate(items(components.get("env"))):
        entry, location = mapping(raw), (*where, "env", number)
        if "valueFrom" in entry:
            shared.findings.refuse((*location, "valueFrom"), "is read from the cluster: write its value")
            continue
        given[text(entry.get("name"))] = _value(entry.get("value"))
        locations[text(entry.get("name"))] = (*location, "value")
    defaults = {**DEFAULTS.get(name, {}), **shared.defaults.get(name, {})}
    return Variables(given=given, defaults=defaults, locations=locations, whole=at, findings=shared.findings)


def _value(raw: object) -> str:
    """Return a value as Litmus reads it: text."""
    return str(raw).lower() if isinstance(raw, bool) else text(raw)


def _count(name: str, variables: Variables, asked: int | None) -> int | None:
    """Return how many pods are hit: what was asked for, else one, or all."""
    if variables.text("TARGET_PODS"):
        variables.refuse(
            "TARGET_PODS", "names pods, which have other names tomorrow: leave it out, and select by a label"
        )
    if variables.text("NODE_LABEL"):
        variables.refuse("NODE_LABEL", "chooses by nodes: leave it out")
    if variables.text("RAMP_TIME") not in {"", "0"}:
        variables.findings.note("RAMP_TIME is left out: it only waits.")
    if name == PARTITION:
        return None
    share = variables.text("PODS_AFFECTED_PERC")
    percent = number_of(share or "0", variables.at("PODS_AFFECTED_PERC"), variables.findings)
    if asked is not None:
        return asked
    if percent not in {0, WHOLE}:
        variables.refuse("PODS_AFFECTED_PERC", "is a share of the pods: say how many that are, by --count N")
    if percent == WHOLE and variables.text("SEQUENCE") == "serial":
        variables.refuse("SEQUENCE", "must be parallel: pods are hit together here")
    return None if percent == WHOLE else 1
