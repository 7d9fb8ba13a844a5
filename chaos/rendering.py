"""Renders each fault of an experiment as what its provider is asked to do: plain data, the same for the same file."""

from dataclasses import asdict, dataclass

from chaos.choice import choose
from chaos.experiment import Experiment
from chaos.fault_types import Fault, Provider
from chaos.manifests.chaos_mesh import render_chaos_mesh
from chaos.manifests.kubernetes import KubernetesAction, render_kubernetes
from chaos.manifests.litmus import render_litmus
from chaos.provider import FaultId, LocalAction, refusal, render_local
from chaos.targets import Target
from model.json_values import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What is asked of a provider for one fault, or why it refuses."""

    fault: Fault
    provider: Provider
    document: JsonObject | None = None
    refused: str | None = None


def render(experiment: Experiment, provider: Provider | None, target: Target) -> tuple[Rendered, ...]:
    """Return what each fault is on one target: by `provider`, else by the best one there may be."""
    return tuple(
        _rendered(experiment, fault, provider, FaultId(f"fault-{number}"), target)
        for number, fault in enumerate(experiment.faults, start=1)
    )


def _rendered(
    experiment: Experiment, fault: Fault, wanted: Provider | None, fault_id: FaultId, target: Target
) -> Rendered:
    chosen = wanted or choose(experiment, fault, frozenset(Provider)).provider
    if problem := refusal(chosen, fault):
        return Rendered(fault=fault, provider=chosen, refused=problem)
    return Rendered(fault=fault, provider=chosen, document=document(chosen, fault, fault_id, target))


def document(provider: Provider, fault: Fault, fault_id: FaultId, target: Target) -> JsonObject:
    """Return what a provider is asked to do. Raises: ValueError if it refuses."""
    match provider:
        case Provider.LITMUS:
            return render_litmus(fault, target, fault_id)
        case Provider.CHAOS_MESH:
            return render_chaos_mesh(fault, target, fault_id)
        case Provider.KUBERNETES:
            return _plain(render_kubernetes(fault, target, fault_id))
        case Provider.LOCAL:
            return _plain(render_local(fault))


def _plain(action: KubernetesAction | LocalAction) -> JsonObject:
    """Return an action with its name as plain data."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(action).items()}
    return {"action": type(action).__name__, **values}
