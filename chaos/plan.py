"""What an experiment would do, before anything is done: what `assay chaos plan` shows.

It has every reason against the experiment at once: targets, blast radius, what the provider refuses, safety checks.
"""

from dataclasses import dataclass

from chaos.choice import ALWAYS_THERE, choose
from chaos.experiment import Experiment, Order
from chaos.fault_types import Fault, Provider
from chaos.hypothesis import SloKind
from chaos.price import Price, over_its_own_limit, prices
from chaos.provider import CAPABILITIES, render_local
from chaos.rank_sum import smallest_p
from chaos.safety import DecisionRecord
from chaos.targets import Resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault: who injects it and why, when it begins and ends after the injection, in seconds, and what is done."""

    fault: Fault
    provider: Provider
    why: str
    begins: float
    ends: float
    how: str
    needs: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlo:
    """What the judgement of one SLO can and cannot say. `readings` counts baseline and fault window."""

    slo: str
    kind: SloKind
    readings: tuple[int, int]
    smallest_p: float | None
    noise_check: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it. The experiment may run only if `problems` is empty."""

    experiment: str
    provider: Provider
    resolution: Resolution
    faults: tuple[PlannedFault, ...]
    slos: tuple[PlannedSlo, ...]
    prices: tuple[Price, ...]
    seconds: float
    claims: tuple[str, ...]
    decision: DecisionRecord | None
    problems: tuple[str, ...]


SHORTEST_FOR_NOISE_CHECK = 10


def plan(
    experiment: Experiment,
    resolution: Resolution,
    decision: DecisionRecord | None = None,
    there: frozenset[Provider] = ALWAYS_THERE,
) -> Plan:
    """Return the plan of an experiment against these targets, with the decision of the safety checks if it was made.

    `there` are the providers of the place.
    """
    refused = [problem for fault in experiment.faults if (problem := choose(experiment, fault, there).refused)]
    blocked = [f"safety check {reason}" for reason in decision.reasons] if decision else []
    windows = (experiment.baseline + experiment.longest_fault_window + experiment.recovery).total_seconds()
    return Plan(
        experiment=experiment.name,
        provider=experiment.provider,
        resolution=resolution,
        faults=tuple(_planned(experiment, there)),
        slos=tuple(_planned_slos(experiment)),
        prices=prices(experiment),
        seconds=windows,
        claims=claims(experiment, resolution),
        decision=decision,
        problems=(*resolution.problems, *refused, *over_its_own_limit(experiment), *blocked),
    )


def claims(experiment: Experiment, resolution: Resolution) -> tuple[str, ...]:
    """Return the paths that the experiment claims exclusively: its targets and their callers."""
    return tuple(f"{experiment.target.place}/{service}" for service in resolution.claims)


def _planned(experiment: Experiment, there: frozenset[Provider]) -> list[PlannedFault]:
    planned, begins = [], 0.0
    for fault in experiment.faults:
        choice = choose(experiment, fault, there)
        capability = CAPABILITIES[choice.provider, fault.type]
        local = choice.provider is Provider.LOCAL and not choice.refused
        planned.append(
            PlannedFault(
                fault=fault,
                provider=choice.provider,
                why=choice.why,
                begins=begins,
                ends=begins + fault.duration_seconds,
                how=capability.how or f"refused: {capability.refused}",
                needs=capability.needs,
                action=repr(render_local(fault)) if local else "",
            )
        )
        if experiment.order is Order.SEQUENCE:
            begins += fault.duration_seconds
    return planned


def _planned_slos(experiment: Experiment) -> list[PlannedSlo]:
    planned = []
    for slo in experiment.hypothesis.slos:
        windows = (experiment.baseline, experiment.active)
        before, during = (int(window.total_seconds() / slo.step_seconds) for window in windows)
        value = slo.kind is SloKind.VALUE
        planned.append(
            PlannedSlo(
                slo=slo.name,
                kind=slo.kind,
                readings=(before, during),
                smallest_p=smallest_p(before, during) if value else None,
                noise_check=value and before >= SHORTEST_FOR_NOISE_CHECK,
            )
        )
    return planned
