"""What an experiment may send requests to: public addresses, what the operator allows, and its own environment."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaos.experiment import Experiment
from chaos.experiment_states import Stopped
from chaos.hypothesis import ProbeType, Source
from chaos.verdict import End
from cluster.addresses import AddressError, NoAnswerError, resolve
from cluster.fault_providers import LOOPBACK, PlaceError
from cluster.observation.metrics import MetricsSource
from flows.experiment.connections import connections_of
from flows.experiment.run import ExperimentRun
from model.ports import SecretError

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The private hosts that may be reached, and the Prometheus, if one is connected."""

    hosts: frozenset[str]
    metrics: MetricsSource | None = None


async def reach_of(run: ExperimentRun) -> Reach | Stopped:
    """Return what the experiment may reach, or why it must not begin."""
    allowed = run.context.settings.allowed_hosts
    try:
        own = (await run.place.targets.find(run.experiment.target)).addresses
    except PlaceError as error:
        return Stopped(end=End.INFRASTRUCTURE, reason=str(error))
    hosts = allowed | {one.rpartition(":")[0] for one in own}
    if reason := _strange(run, own, allowed) or "; ".join(
        await asyncio.to_thread(refusals, addresses_of(run.experiment), hosts)
    ):
        return Stopped(end=End.BLOCKED, reason=reason)
    if not needs_metrics(run.experiment):
        return Reach(hosts=hosts)
    connections = await connections_of(run)
    name = connections.prometheus_of(run.experiment.target.cluster or run.experiment.target.environment)
    if name is None:
        reason = "no Prometheus is connected: `assay chaos connect`, or use SLOs with `source: load`"
        return Stopped(end=End.BLOCKED, reason=reason)
    try:
        return Reach(hosts=hosts, metrics=connections.metrics(name))
    except SecretError as error:
        return Stopped(end=End.BLOCKED, reason=str(error))


def _strange(run: ExperimentRun, own: frozenset[str], allowed: frozenset[str]) -> str:
    """Return a sentence if something of this machine would be asked that is not of the environment."""
    strange = [one for one in addresses_of(run.experiment) if is_strange(one, own, allowed)]
    place = run.experiment.target.environment or run.experiment.target.namespace
    return f"{', '.join(strange)} is no address of {place}, and the operator did not allow it" if strange else ""


def addresses_of(experiment: Experiment) -> list[str]:
    """Return what its load and its health checks ask, as `host:port`, in order."""
    urls = [check.url for check in experiment.hypothesis.health_checks if check.url]
    urls += [experiment.load.url] if experiment.load and experiment.load.url else []
    parts = [urlsplit(url) for url in urls]
    found = {f"{part.hostname}:{part.port or PORTS[part.scheme]}" for part in parts}
    tcp = [check for check in experiment.hypothesis.health_checks if check.type is ProbeType.TCP]
    return sorted(found | {f"{check.host}:{check.port}" for check in tcp})


def refusals(asked: Sequence[str], hosts: frozenset[str]) -> list[str]:
    """Return why addresses may not be asked: private ones that nobody opened, and names without an address.

    A name server that does not answer refuses nothing. It blocks: call it from a thread.
    """
    said = []
    for host, _, port in (address.rpartition(":") for address in asked):
        with suppress(NoAnswerError):
            try:
                resolve(host, int(port), hosts)
            except AddressError as wrong:
                said.append(str(wrong))
    return said


def is_strange(address: str, own: frozenset[str], allowed: frozenset[str]) -> bool:
    """Say whether an address is one of this machine, and not of the environment. Others are checked later."""
    host = address.rpartition(":")[0]
    return host in LOOPBACK and address not in own and host not in allowed


def needs_metrics(experiment: Experiment) -> bool:
    """Say whether a Prometheus is needed."""
    hypothesis = experiment.hypothesis
    return any(slo.source is Source.PROMETHEUS for slo in hypothesis.slos) or any(
        check.type is ProbeType.PROMETHEUS for check in hypothesis.health_checks
    )
