"""Targets of an experiment, resolved to explicit pods or processes, and their check against the blast radius.

The same check is made at the plan, at the admission and at the injection. It returns every problem.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.experiment import Experiment
from chaos.fault_types import Provider
from chaos.graph import ServiceGraph
from chaos.target import OPT_IN_LABEL, OPT_IN_VALUE, TargetSelector, is_protected


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """One pod or one process that a fault is injected into.

    `place` is the namespace or the environment. `identity` tells it from any other that ever has the same name: the UID
    of a pod; boot, pid and start time of a process.
    """

    place: str
    service: str
    name: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pod or a process as it is seen, with what decides whether it may be a target.

    `opted_in` is the label of the pod or of its namespace, or `chaos: allowed` in the file of the services. `ours` is
    true of everything that belongs to Assay.
    """

    target: Target
    labels: Mapping[str, str] = field(default_factory=dict)
    opted_in: bool = False
    ours: bool = False
    ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What an experiment would affect. It may be injected only if `problems` is empty."""

    targets: tuple[Target, ...]
    of: int
    callers: tuple[str, ...]
    traffic_share: float | None
    problems: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Say whether a fault may be injected into these targets."""
        return not self.problems

    @property
    def claims(self) -> tuple[str, ...]:
        """Return the services that must be claimed: the targets' and their callers'."""
        return tuple(sorted({*(target.service for target in self.targets), *self.callers}))


def is_opted_in(labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
    """Say whether a pod may be a target: its own label decides, else that of its namespace."""
    return labels.get(OPT_IN_LABEL, namespace_labels.get(OPT_IN_LABEL)) == OPT_IN_VALUE


def resolve(experiment: Experiment, seen: Sequence[Candidate], graph: ServiceGraph) -> Resolution:
    """Return the targets among what was `seen`, in order of their names, and every reason against them.

    The selector's `count` takes so many of those that match. Nothing is cut to fit into the blast radius: what is
    larger is a problem.
    """
    found = sorted((one for one in seen if _selected(experiment.target, one)), key=lambda one: one.target)
    chosen = found[: experiment.target.count]
    targets = tuple(one.target for one in chosen)
    services = sorted({target.service for target in targets})
    share = _traffic_share(services, len(chosen) / len(found) if found else 0.0, graph)
    problems = (
        *_wrong_number(experiment, seen, len(found), len(chosen)),
        *_not_allowed(chosen),
        *_outside(experiment, targets),
        *_traffic(experiment, share),
    )
    callers = sorted({caller for service in services for caller in graph.callers(service)} - set(services))
    return Resolution(targets=targets, of=len(found), callers=tuple(callers), traffic_share=share, problems=problems)


def _selected(selector: TargetSelector, one: Candidate) -> bool:
    place = selector.environment or selector.namespace
    labels = selector.labels.items() <= one.labels.items()
    return one.target.place == place and labels and selector.service in {None, one.target.service}


def _wrong_number(experiment: Experiment, seen: Sequence[Candidate], found: int, chosen: int) -> list[str]:
    radius, target = experiment.blast_radius, experiment.target
    if not found:
        place = target.environment or target.namespace
        names = sorted({one.target.service for one in seen if one.target.place == place})
        return [f"no target matches {target.claim}; {place} has {', '.join(names) or 'no services'}"]
    problems = []
    if target.count is not None and found < target.count:
        problems.append(f"{target.count} targets are wanted, and {found} match")
    if chosen > radius.max_targets:
        problems.append(f"{chosen} targets match; blastRadius.maxTargets allows {radius.max_targets}")
    if 100 * chosen > radius.max_percent * found * (1 + 1e-9):
        problems.append(f"{chosen} of {found} targets is more than blastRadius.maxPercent, {radius.max_percent:g}%")
    return problems


def _not_allowed(chosen: Sequence[Candidate]) -> list[str]:
    problems = []
    for one in chosen:
        name = f"{one.target.place}/{one.target.name}"
        if one.ours:
            problems.append(f"{name} belongs to Assay itself")
        elif is_protected(one.target.place):
            problems.append(f"{name} is in a protected namespace")
        elif not one.opted_in:
            problems.append(
                f"{name} has not opted in: label it or its namespace {OPT_IN_LABEL}={OPT_IN_VALUE}, "
                "or write `chaos: allowed` in the file of the services"
            )
    return problems


def _outside(experiment: Experiment, targets: Sequence[Target]) -> list[str]:
    radius = experiment.blast_radius
    problems = []
    if experiment.provider is Provider.KUBERNETES and radius.namespaces:
        outside = sorted({target.place for target in targets} - set(radius.namespaces))
        problems += [f"the namespace {name} is outside of blastRadius.namespaces" for name in outside]
    if radius.services:
        outside = sorted({target.service for target in targets} - set(radius.services))
        problems += [f"the service {name} is outside of blastRadius.services" for name in outside]
    return problems


def _traffic_share(services: Sequence[str], replicas: float, graph: ServiceGraph) -> float | None:
    """Return the share of all requests that reach the targets: rate of their services times the share of replicas."""
    shares = [graph.share_of(service) for service in services]
    known = [share for share in shares if share is not None]
    return sum(known) * replicas if services and len(known) == len(shares) else None


def _traffic(experiment: Experiment, share: float | None) -> list[str]:
    limit = experiment.blast_radius.max_traffic_percent
    if limit is None:
        return []
    if share is None:
        return [
            "the rates of requests are unknown, and blastRadius.maxTrafficPercent is set: measure them or remove it"
        ]
    if 100 * share > limit:
        return [f"{share:.1%} of all requests reach the targets; blastRadius.maxTrafficPercent allows {limit:g}%"]
    return []


def grown(before: Resolution, now: Resolution) -> bool:
    """Say whether what an experiment affects has grown since its admission, so that it must queue again."""
    return not set(now.claims) <= set(before.claims)
