"""Which provider injects a fault: the one that the fault names, else the best one that is there and can do it.

The native provider comes first: it needs no operator, its guard holds kills down, and it reverts by itself.
"""

from dataclasses import dataclass

from chaos.experiment import Experiment
from chaos.fault_types import Fault, Provider
from chaos.provider import refusal

ORDER = (Provider.KUBERNETES, Provider.CHAOS_MESH, Provider.LITMUS)
ALWAYS_THERE = frozenset({Provider.LOCAL, Provider.KUBERNETES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The provider, why it was chosen, and why it cannot inject the fault, if it cannot."""

    provider: Provider
    why: str
    refused: str | None = None


def choose(experiment: Experiment, fault: Fault, there: frozenset[Provider]) -> Choice:
    """Return who injects a fault of an experiment. `there` are the providers of the place."""
    if experiment.target.environment:
        return Choice(provider=Provider.LOCAL, why="local services", refused=refusal(Provider.LOCAL, fault))
    return choose_in_cluster(fault, there)


def choose_in_cluster(fault: Fault, there: frozenset[Provider]) -> Choice:
    """Return who injects a fault into a pod."""
    if fault.provider is not None:
        missing = None if fault.provider in there else f"{fault.name}: {fault.provider} is not in this cluster"
        refused = refusal(fault.provider, fault) or missing
        return Choice(provider=fault.provider, why="the experiment names it", refused=refused)
    refusals = {provider: refusal(provider, fault) for provider in ORDER}
    for provider in ORDER:
        if provider in there and not refusals[provider]:
            others = "; ".join(str(refusals[one]) for one in ORDER[: ORDER.index(provider)] if refusals[one])
            return Choice(provider=provider, why=others or "the best that is here")
    able = [provider.value for provider in ORDER if not refusals[provider]]
    advice = f" (not in this cluster: {', '.join(able)})" if able else ""
    first = next(provider for provider in ORDER if provider in there)
    return Choice(provider=first, why="none can", refused=f"{refusals[first]}{advice}")
