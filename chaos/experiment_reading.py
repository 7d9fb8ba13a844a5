"""Read an experiment from plain data: a value, or every problem with its path. And write it back.

The single `fault` and the single `slo` of the original design are accepted, and told at the keys that were sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from chaos.experiment import Experiment, ExperimentForm
from chaos.experiment_rules import broken_experiment_rules
from chaos.fault_types import PARAMETERS, Fault, FaultForm, FaultType, Parameters, Provider
from chaos.hypothesis import Hypothesis, HypothesisForm
from chaos.safety import BUILT_IN, LAPTOP_REASON, SafetyCheck, SafetyCheckForm, SafetyChecksForm, Severity
from model.document import read_yaml, write_yaml
from model.examine import refuse
from model.json_values import JsonObject
from model.lenient import at, items, mapping
from model.plain import plain
from model.problems import Finding, Location
from model.reading import Reader, Reading
from model.schema import friendly

FORM = Reader(ExperimentForm)
PARAMETER_READERS: dict[FaultType, Reader[Parameters]] = {kind: Reader(value) for kind, value in PARAMETERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadFault:
    """The parameters of one fault, or their problems at the location of the fault."""

    location: Location
    reading: Reading[Parameters]

    def findings(self) -> Iterator[Finding]:
        return (finding.under(*self.location, "parameters") for finding in self.reading.findings)


def check_experiment(raw: object) -> Experiment:
    """Return the experiment that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    document = mapping(reading.raw)
    faults = [fault for location in fault_locations(document) if (fault := _read_fault(document, location))]
    broken = [*(finding for fault in faults for finding in fault.findings()), *broken_experiment_rules(document)]
    refuse(seen, (*reading.findings, *(reading.as_sent(finding) for finding in broken)))
    return _experiment(reading.required(), tuple(fault.reading.required() for fault in faults))


def stored_experiment(raw: object) -> Experiment:
    """Return an experiment that a run keeps. The rules across its fields were those of its submit, and hold no more.

    Raises: InvalidError if it cannot be read at all.
    """
    reading = FORM.read(plain(raw).value)
    document = mapping(reading.raw)
    faults = [fault for location in fault_locations(document) if (fault := _read_fault(document, location))]
    return _experiment(reading.required(), tuple(fault.reading.required() for fault in faults))


def fault_locations(document: dict[str, object]) -> list[Location]:
    """Return where the faults of a document stand."""
    listed: list[Location] = [("faults", position) for position in range(len(items(document.get("faults"))))]
    return [("fault",), *listed] if document.get("fault") is not None else listed


def _read_fault(document: dict[str, object], location: Location) -> _ReadFault | None:
    """Read the parameters of a fault by its type. None if the type itself is wrong, which is told elsewhere."""
    fault = mapping(at(document, location))
    kind = fault.get("type")
    if not isinstance(kind, str) or kind not in set(FaultType):
        return None
    parameters = fault.get("parameters", {})
    if not isinstance(parameters, dict):
        return None
    return _ReadFault(location=location, reading=PARAMETER_READERS[FaultType(kind)].read(parameters))


def _experiment(form: ExperimentForm, parameters: tuple[Parameters, ...]) -> Experiment:
    forms = ((form.fault,) if form.fault else ()) + form.faults
    faults = tuple(
        _fault(fault, values, form.duration_seconds, number)
        for number, (fault, values) in enumerate(zip(forms, parameters, strict=True), start=1)
    )
    return Experiment(
        name=form.name,
        description=form.description,
        faults=faults,
        order=form.order,
        target=form.target,
        hypothesis=_hypothesis(form.hypothesis),
        duration=timedelta(seconds=form.duration_seconds),
        baseline=timedelta(seconds=form.baseline_seconds or form.duration_seconds),
        recovery=timedelta(seconds=form.recovery_seconds or form.duration_seconds),
        blast_radius=form.blast_radius,
        halt_conditions=form.halt_conditions,
        error_budget=form.error_budget,
        safety_checks=_safety_checks(form.safety_checks, Provider.LOCAL if form.target.environment else None),
        preflight=form.preflight,
        load=form.load,
        alpha=form.alpha,
        schedule=form.schedule,
    )


def _fault(form: FaultForm, parameters: Parameters, duration: int, number: int) -> Fault:
    return Fault(
        type=form.type,
        parameters=parameters,
        duration_seconds=form.duration_seconds or duration,
        name=form.name or f"{number}-{form.type}",
        provider=form.provider,
    )


def _hypothesis(form: HypothesisForm) -> Hypothesis:
    return Hypothesis(
        title=form.title,
        health_checks=form.health_checks,
        slos=((form.slo,) if form.slo else ()) + form.slos,
        tolerance_percent=form.tolerance_percent,
    )


def _safety_checks(form: SafetyChecksForm, provider: Provider | None) -> tuple[SafetyCheck, ...]:
    given = dict(
        zip(BUILT_IN, (form.active_incidents, form.on_call, form.recent_deployments, form.system_health), strict=True)
    )
    local = SafetyCheckForm(none=LAPTOP_REASON) if provider is Provider.LOCAL else None
    named = {name: check or local for name, check in given.items()} | form.registered
    return tuple(_safety_check(name, check) for name, check in named.items() if check)


def _safety_check(name: str, form: SafetyCheckForm) -> SafetyCheck:
    return SafetyCheck(
        name=name,
        severity=form.severity,
        connection=form.connection,
        none=form.none,
        stale_after=timedelta(seconds=form.stale_after_seconds),
        within=timedelta(minutes=form.within_minutes),
    )


def experiment_to_raw(experiment: Experiment) -> JsonObject:
    """Return `experiment` as JSON data that `check_experiment` reads back to an equal value."""
    form = ExperimentForm(
        name=experiment.name,
        description=experiment.description,
        faults=tuple(_fault_form(fault) for fault in experiment.faults),
        order=experiment.order,
        target=experiment.target,
        hypothesis=HypothesisForm(
            title=experiment.hypothesis.title,
            health_checks=experiment.hypothesis.health_checks,
            slos=experiment.hypothesis.slos,
            tolerance_percent=experiment.hypothesis.tolerance_percent,
        ),
        duration_seconds=int(experiment.duration.total_seconds()),
        baseline_seconds=int(experiment.baseline.total_seconds()),
        recovery_seconds=int(experiment.recovery.total_seconds()),
        blast_radius=experiment.blast_radius,
        halt_conditions=experiment.halt_conditions,
        error_budget=experiment.error_budget,
        safety_checks=_safety_form(experiment.safety_checks),
        preflight=experiment.preflight,
        load=experiment.load,
        alpha=experiment.alpha,
        schedule=experiment.schedule,
    )
    raw: JsonObject = FORM.adapter.dump_python(form, mode="json", by_alias=True, exclude_none=True)
    return raw


def _fault_form(fault: Fault) -> FaultForm:
    reader = PARAMETER_READERS[fault.type]
    parameters = reader.adapter.dump_python(fault.parameters, mode="json", by_alias=True, exclude_none=True)
    return FaultForm(
        type=fault.type,
        parameters=parameters,
        duration_seconds=fault.duration_seconds,
        name=fault.name,
        provider=fault.provider,
    )


def _safety_form(checks: tuple[SafetyCheck, ...]) -> SafetyChecksForm:
    forms = {
        check.name: SafetyCheckForm(
            none=check.none,
            connection=check.connection,
            severity=Severity(check.severity),
            stale_after_seconds=int(check.stale_after.total_seconds()),
            within_minutes=int(check.within.total_seconds() // 60),
        )
        for check in checks
    }
    return SafetyChecksForm(
        active_incidents=forms.pop("activeIncidents", None),
        on_call=forms.pop("onCall", None),
        recent_deployments=forms.pop("recentDeployments", None),
        system_health=forms.pop("systemHealth", None),
        registered=forms,
    )


def experiment_from_yaml(text: str) -> Experiment:
    """Return the experiment of a YAML document. Raises: InvalidError with all problems."""
    return check_experiment(read_yaml(text))


def experiment_to_yaml(experiment: Experiment) -> str:
    """Return `experiment` as YAML that `experiment_from_yaml` reads back to an equal value."""
    return write_yaml(experiment_to_raw(experiment))


@cache
def describe_experiment_schema() -> JsonObject:
    """Return the JSON schema of an experiment without references, for forms and for the OpenAPI document."""
    return friendly(FORM.schema, {})
