"""The rules across the fields of an experiment. Each yields problems; none raises, whatever the document holds.

They refuse what is dangerous (a protected namespace, a fault that outlives its experiment) and what can never be
measured (a window too short for any significance), before anything happens.
"""

from collections.abc import Iterator

from chaos.document_parts import Document, active_seconds, checks_of, faults_of, number, slos_of
from chaos.error_budget import ALL_REQUESTS
from chaos.fault_types import Provider
from chaos.hypothesis import NEEDED, ProbeType, SloKind, Source
from chaos.hypothesis_rules import hollow_promises
from chaos.rank_sum import smallest_p
from chaos.safety import BUILT_IN
from chaos.target import is_protected
from model.lenient import items, mapping, text
from model.problems import Finding, Location
from model.suite_rules import name_problem

LOCAL_MOST_MEGABYTES = 256
DEFAULT_STEP_SECONDS = 5
DEFAULT_ALPHA = 0.05
KUBERNETES_ONLY_PROBES = {ProbeType.KUBERNETES}


def broken_experiment_rules(document: Document) -> Iterator[Finding]:
    """Yield the problems between the fields of an experiment."""
    for rule in RULES:
        yield from rule(document)
    yield from hollow_promises(document)


def _is_ours(document: Document) -> Iterator[Finding]:
    for key, tool in (("apiVersion", "Litmus or Chaos Mesh"), ("method", "Chaos Toolkit")):
        if key in document:
            message = f"looks like a file of {tool}: `assay chaos import FILE --cluster NAME` translates it"
            yield Finding(location=(), message=message)


def _one_way_to_name_faults(document: Document) -> Iterator[Finding]:
    if not document:
        return
    yield from _one_way(document, (), "fault", "faults")
    if document.get("fault") is None and document.get("faults") is None:
        yield Finding(location=("faults",), message="is required: what is injected")
    if document.get("fault") is None and document.get("faults") == []:
        yield Finding(location=("faults",), message="must not be empty")


def _one_way(owner: Document, location: Location, single: str, several: str) -> Iterator[Finding]:
    if owner.get(single) is not None and items(owner.get(several)):
        yield Finding(location=(*location, single), message=f"and {several} are both given; use one of them")


def _faults_fit_into_the_experiment(document: Document) -> Iterator[Finding]:
    whole = number(document.get("durationSeconds"))
    total = 0.0
    for location, fault in faults_of(document):
        own = number(fault.get("durationSeconds"))
        total += own if own is not None else whole or 0.0
        if whole is not None and own is not None and own > whole:
            message = f"must not be longer than the experiment, which takes {whole:g} s"
            yield Finding(location=(*location, "durationSeconds"), message=message)
    if document.get("order") == "sequence" and whole is not None and total > whole and len(faults_of(document)) > 1:
        message = f"the faults take {total:g} s one after the other, more than the {whole:g} s of the experiment"
        yield Finding(location=("durationSeconds",), message=message)


def _target_is_one_place(document: Document) -> Iterator[Finding]:
    target = mapping(document.get("target"))
    if not isinstance(document.get("target"), dict):
        return
    places = [key for key in ("environment", "namespace") if target.get(key) is not None]
    if len(places) != 1:
        message = f"must name exactly one of environment (local services) and namespace (a cluster), not {len(places)}"
        yield Finding(location=("target",), message=message)
    if places == ["environment"]:
        for key in ("cluster", "labels"):
            if target.get(key):
                yield Finding(location=("target", key), message="belongs to a namespace of a cluster")
        if target.get("service") is None:
            yield Finding(location=("target", "service"), message="is required: which service of the environment")
    if places == ["namespace"]:
        yield from _namespace_target(target)


def _namespace_target(target: Document) -> Iterator[Finding]:
    if target.get("cluster") is None:
        yield Finding(location=("target", "cluster"), message="is required: `assay cluster list` shows the names")
    if target.get("service") is None and not target.get("labels"):
        message = "selects a whole namespace; give a service or labels"
        yield Finding(location=("target",), message=message)


def _namespaces_are_not_protected(document: Document) -> Iterator[Finding]:
    named: list[tuple[Location, object]] = [
        (("target", "namespace"), mapping(document.get("target")).get("namespace")),
        *(
            (("blastRadius", "namespaces", position), name)
            for position, name in enumerate(items(mapping(document.get("blastRadius")).get("namespaces")))
        ),
    ]
    for location, name in named:
        if is_protected(text(name)):
            message = f"{text(name)} is protected: no experiment may aim at a control plane"
            yield Finding(location=location, message=message)


def _target_is_within_the_blast_radius(document: Document) -> Iterator[Finding]:
    radius, target = mapping(document.get("blastRadius")), mapping(document.get("target"))
    for key, allowed in (("namespace", "namespaces"), ("service", "services")):
        name, names = target.get(key), [text(name) for name in items(radius.get(allowed))]
        if isinstance(name, str) and names and name not in names:
            message = f"does not include the target's own {key} {name}"
            yield Finding(location=("blastRadius", allowed), message=message)


def _targets_fit_into_the_blast_radius(document: Document) -> Iterator[Finding]:
    count = number(mapping(document.get("target")).get("count"))
    most = number(mapping(document.get("blastRadius")).get("maxTargets", 1))
    if count and most and count > most:
        message = f"is more than blastRadius.maxTargets, which is {most:g}"
        yield Finding(location=("target", "count"), message=message)


def _hypothesis_can_be_measured(document: Document) -> Iterator[Finding]:
    hypothesis = document.get("hypothesis")
    if isinstance(hypothesis, dict):
        yield from _one_way(mapping(hypothesis), ("hypothesis",), "slo", "slos")
        if not slos_of(document) and not checks_of(document):
            message = "can never be measured: give at least one health check or SLO"
            yield Finding(location=("hypothesis",), message=message)
    for location, slo in slos_of(document):
        yield from _slo_has_its_queries(location, slo)
        if slo.get("source") == Source.LOAD and document.get("load") is None:
            message = "is load, and the experiment has no `load`: it can never be measured"
            yield Finding(location=(*location, "source"), message=message)
        if slo.get("source") == Source.LOAD and mapping(document.get("load")).get("test") is not None:
            message = "is load, and only a generator (`load.url`) sees its answers: read them from a Prometheus"
            yield Finding(location=(*location, "source"), message=message)


def _slo_has_its_queries(location: Location, slo: Document) -> Iterator[Finding]:
    ratio, load = slo.get("kind") == SloKind.RATIO, slo.get("source") == Source.LOAD
    if text(slo.get("kind")) not in set(SloKind):
        return
    if ratio and slo.get("objective") is None:
        yield Finding(location=(*location, "objective"), message="is required for kind ratio")
    wanted = () if load else ("bad", "total") if ratio else ("query",)
    for key in wanted:
        if slo.get(key) is None:
            yield Finding(location=(*location, key), message=f"is required for kind {slo['kind']} from prometheus")
    unused = {"objective": not ratio, "bad": not ratio or load, "total": not ratio or load, "query": ratio or load}
    for key, is_unused in unused.items():
        if is_unused and slo.get(key) is not None:
            source = "load" if load else "prometheus"
            yield Finding(location=(*location, key), message=f"is not used by kind {slo['kind']} from {source}")


MOST_READINGS = 10_000
"""More than windows within their bounds can have."""


def _windows_are_long_enough(document: Document) -> Iterator[Finding]:
    """Refuse an SLO of kind value whose windows are so short that no reading of them could ever be significant."""
    duration = number(document.get("durationSeconds"))
    alpha = number(document.get("alpha", DEFAULT_ALPHA))
    family = [(location, slo) for location, slo in slos_of(document) if slo.get("kind") == SloKind.VALUE]
    for location, slo in family:
        step = number(slo.get("stepSeconds", DEFAULT_STEP_SECONDS))
        baseline = number(document.get("baselineSeconds")) or duration
        if not (duration and alpha and step and baseline) or min(duration, baseline, step) <= 0:
            continue
        if max(baseline, duration) / step > MOST_READINGS:
            continue  # a bound of one of them is broken, which is told elsewhere
        readings = (int(baseline / step), int(duration / step))
        reachable = smallest_p(*readings)
        if min(readings) < 1 or reachable > alpha / len(family):
            message = (
                f"is too long: {readings[0]} and {readings[1]} readings can never be significant (smallest p "
                f"{reachable:.2g}, needed {alpha / len(family):.2g}); use a shorter step or longer windows"
            )
            yield Finding(location=(*location, "stepSeconds"), message=message)


def _checks_have_what_their_type_needs(document: Document) -> Iterator[Finding]:
    local = mapping(document.get("target")).get("environment") is not None
    for location, check in checks_of(document):
        kind = check.get("type")
        if not isinstance(kind, str) or kind not in set(ProbeType):
            continue
        for key in NEEDED[ProbeType(kind)]:
            if check.get(key) is None:
                yield Finding(location=(*location, key), message=f"is required for type {kind}")
        if kind == ProbeType.PROMETHEUS and check.get("above") is None and check.get("below") is None:
            yield Finding(location=location, message="compares with nothing: give above or below")
        if local and kind in KUBERNETES_ONLY_PROBES:
            yield Finding(location=(*location, "type"), message=f"{kind} needs a target in a cluster")
        timeout, interval = number(check.get("timeoutSeconds")), number(check.get("intervalSeconds"))
        if timeout and interval and timeout > 10 * interval:
            message = "is more than ten times the interval: a hanging look would hide all others"
            yield Finding(location=(*location, "timeoutSeconds"), message=message)


def _names_are_unique(document: Document) -> Iterator[Finding]:
    for group in (slos_of(document), checks_of(document), faults_of(document)):
        first: dict[str, Location] = {}
        for location, entry in group:
            name = entry.get("name")
            if isinstance(name, str) and first.setdefault(name, location) != location:
                message = f"{name!r} is the name of another one too"
                yield Finding(location=(*location, "name"), message=message)


def _halt_conditions_watch_something(document: Document) -> Iterator[Finding]:
    slos = {text(slo.get("name")) for _, slo in slos_of(document)}
    checks = {text(check.get("name")) for _, check in checks_of(document)}
    for position, entry in enumerate(items(document.get("haltConditions"))):
        location, condition = ("haltConditions", position), mapping(entry)
        if not isinstance(entry, dict):
            continue
        yield from _watches_one(location, condition)
        for key, known in (("slo", slos), ("healthCheck", checks)):
            name = condition.get(key)
            if isinstance(name, str) and name not in known:
                message = f"{name!r} is not in the hypothesis; known are {', '.join(sorted(known)) or 'none'}"
                yield Finding(location=(*location, key), message=message)
        failures, window = number(condition.get("failures", 3)), number(condition.get("of"))
        if failures and window and failures > window:
            message = f"must be {failures:g} or more: so many samples over the limit halt"
            yield Finding(location=(*location, "of"), message=message)


def _watches_one(location: Location, condition: Document) -> Iterator[Finding]:
    watched = [key for key in ("slo", "healthCheck") if condition.get(key) is not None]
    if len(watched) != 1:
        yield Finding(location=location, message=f"must name exactly one of slo and healthCheck, not {len(watched)}")
    limits = [key for key in ("above", "below") if condition.get(key) is not None]
    if watched == ["slo"] and not limits:
        yield Finding(location=location, message="has no limit: give above or below")
    if watched == ["healthCheck"]:
        for key in limits:
            yield Finding(location=(*location, key), message="is not used with a health check: a miss is over")


def _a_budget_has_a_price(document: Document) -> Iterator[Finding]:
    budget = document.get("errorBudget")
    if not isinstance(budget, dict):
        return
    ratios = [slo for _, slo in slos_of(document) if slo.get("kind") == SloKind.RATIO]
    if not ratios:
        message = "limits nothing: only an SLO of kind ratio has an error budget"
        yield Finding(location=("errorBudget",), message=message)
    expected = number(budget.get("expectedBadPercent"))
    always = max((100 - objective for slo in ratios if (objective := number(slo.get("objective")))), default=0.0)
    if expected is not None and expected < always:
        message = f"must be {always:.4g} or more: an objective allows so many bad requests at any time"
        yield Finding(location=("errorBudget", "expectedBadPercent"), message=message)
    failures, window = number(budget.get("failures", 3)), number(budget.get("of"))
    if failures and window and failures > window:
        message = f"must be {failures:g} or more: so many samples that burn too fast halt"
        yield Finding(location=("errorBudget", "of"), message=message)


def _a_budget_halts_within_the_faults(document: Document) -> Iterator[Finding]:
    """Refuse an expectation that nothing enforces, since the faults end before so many samples are there."""
    budget, active = mapping(document.get("errorBudget")), active_seconds(document)
    expected, failures = number(budget.get("expectedBadPercent")), number(budget.get("failures", 3))
    if not expected or expected >= ALL_REQUESTS or not failures or not active:
        return
    for _, slo in slos_of(document):
        step = number(slo.get("stepSeconds", DEFAULT_STEP_SECONDS))
        if slo.get("kind") == SloKind.RATIO and step and failures * step > active:
            message = (
                f"is too many: so many samples of {text(slo.get('name'))} take {failures * step:g} s, and the faults "
                f"end after {active:g} s, before anything is halted; use fewer, or a shorter step"
            )
            yield Finding(location=("errorBudget", "failures"), message=message)


def _safety_checks_are_configured(document: Document) -> Iterator[Finding]:
    checks = mapping(document.get("safetyChecks"))
    in_cluster = mapping(document.get("target")).get("namespace") is not None
    for name in BUILT_IN:
        if checks.get(name) is None and in_cluster:
            message = "is required in a cluster: name a connection, or `none` with the reason"
            yield Finding(location=("safetyChecks", name), message=message)
    named = {**{name: checks.get(name) for name in BUILT_IN}, **mapping(checks.get("registered"))}
    for name, check in named.items():
        location: Location = ("safetyChecks", name) if name in BUILT_IN else ("safetyChecks", "registered", name)
        given = [key for key in ("none", "connection") if mapping(check).get(key) is not None]
        if isinstance(check, dict) and len(given) != 1 and not (name not in BUILT_IN and not given):
            message = f"must have exactly one of connection and none, not {len(given)}"
            yield Finding(location=location, message=message)


def _load_is_one_thing(document: Document) -> Iterator[Finding]:
    load = document.get("load")
    given = [key for key in ("test", "url") if mapping(load).get(key) is not None]
    if isinstance(load, dict) and len(given) != 1:
        message = f"must have exactly one of test (its name) and url (a generator), not {len(given)}"
        yield Finding(location=("load",), message=message)


def _local_faults_are_bounded(document: Document) -> Iterator[Finding]:
    if mapping(document.get("target")).get("environment") is None:
        return
    for location, fault in faults_of(document):
        parameters = mapping(fault.get("parameters"))
        size = number(parameters.get("megabytes"))
        if size is not None and size > LOCAL_MOST_MEGABYTES:
            message = f"must be {LOCAL_MOST_MEGABYTES} or less on this machine"
            yield Finding(location=(*location, "parameters", "megabytes"), message=message)
        if parameters.get("container") is not None:
            message = "belongs to a cluster: a local service has no containers"
            yield Finding(location=(*location, "parameters", "container"), message=message)


def _providers_fit_the_place(document: Document) -> Iterator[Finding]:
    target = mapping(document.get("target"))
    place = next((key for key in ("environment", "namespace") if target.get(key) is not None), None)
    for location, fault in faults_of(document):
        provider = fault.get("provider")
        if place == "environment" and text(provider) in set(Provider) - {Provider.LOCAL}:
            message = "injects into pods: a local environment has the provider local"
            yield Finding(location=(*location, "provider"), message=message)
        if place == "namespace" and provider == Provider.LOCAL:
            message = "injects into processes of this machine: name one of a cluster, or none"
            yield Finding(location=(*location, "provider"), message=message)


def _jitter_is_below_the_latency(document: Document) -> Iterator[Finding]:
    for location, fault in faults_of(document):
        parameters = mapping(fault.get("parameters"))
        latency, jitter = number(parameters.get("latencyMs")), number(parameters.get("jitterMs"))
        if latency is not None and jitter is not None and jitter > latency:
            message = f"must be {latency:g} or less: a delay cannot be negative"
            yield Finding(location=(*location, "parameters", "jitterMs"), message=message)


def _schedule_is_one_thing(document: Document) -> Iterator[Finding]:
    schedule = document.get("schedule")
    if not isinstance(schedule, dict):
        return
    recurring = items(mapping(schedule).get("recurring"))
    if (mapping(schedule).get("at") is None) == (not recurring):
        yield Finding(location=("schedule",), message="must have exactly one of at and recurring")
    for position, entry in enumerate(recurring):
        given = [key for key in ("cron", "interval") if mapping(entry).get(key) is not None]
        if isinstance(entry, dict) and len(given) != 1:
            message = f"must have exactly one of cron and interval, not {len(given)}"
            yield Finding(location=("schedule", "recurring", position), message=message)
    yield from _runs_come_one_after_the_other(document, recurring)
    if recurring and (problem := name_problem(text(document.get("name")))):
        yield Finding(location=("name",), message=problem)


def _runs_come_one_after_the_other(document: Document, recurring: list[object]) -> Iterator[Finding]:
    """Refuse an interval in which a run could not even reach its revert: runs would wait for one another for ever."""
    duration = number(document.get("durationSeconds"))
    baseline = number(document.get("baselineSeconds")) or duration
    for position, entry in enumerate(recurring):
        interval = number(mapping(entry).get("interval"))
        if interval and duration and baseline and interval < baseline + duration:
            message = f"must be {baseline + duration:g} or more: baseline and faults take so long"
            yield Finding(location=("schedule", "recurring", position, "interval"), message=message)


RULES = (
    _is_ours,
    _one_way_to_name_faults,
    _faults_fit_into_the_experiment,
    _target_is_one_place,
    _namespaces_are_not_protected,
    _target_is_within_the_blast_radius,
    _targets_fit_into_the_blast_radius,
    _hypothesis_can_be_measured,
    _windows_are_long_enough,
    _checks_have_what_their_type_needs,
    _names_are_unique,
    _halt_conditions_watch_something,
    _a_budget_has_a_price,
    _a_budget_halts_within_the_faults,
    _safety_checks_are_configured,
    _load_is_one_thing,
    _local_faults_are_bounded,
    _providers_fit_the_place,
    _jitter_is_below_the_latency,
    _schedule_is_one_thing,
)
