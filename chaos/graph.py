"""The dependency graph of services: who calls whom, how often. From `dependsOn`, a CSV, or Istio's metrics.

An edge goes from caller to callee; its `rate` is in requests a second, None where nobody measured it. Without any edge
the whole namespace or environment counts as one chain.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import networkx as nx

from model.problems import InvalidError, Problem

OUTSIDE = "unknown"
"""What Istio calls a caller or a callee that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edge:
    """One dependency. `rate` is None if it is unknown."""

    caller: str
    callee: str
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGraph:
    """Services and their dependencies, in order of names."""

    services: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def known(self) -> bool:
        """Say whether any dependency is known."""
        return bool(self.edges)

    def digraph(self) -> "nx.DiGraph[str]":
        """Return the graph for networkx, with `weight` as the rate and `distance` as its inverse."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.services)
        for edge in self.edges:
            rate = edge.rate or 0.0
            graph.add_edge(edge.caller, edge.callee, weight=rate, distance=1 / rate if rate else float("inf"))
        return graph

    def callers(self, service: str) -> tuple[str, ...]:
        """Return everything that depends on `service`, directly or through others. All others if no edge is known."""
        if not self.known:
            return tuple(name for name in self.services if name != service)
        graph = self.digraph()
        return tuple(sorted(nx.ancestors(graph, service))) if service in graph else ()

    def rate_of(self, service: str) -> float | None:
        """Return the requests a second that reach `service`. None if an edge to it has no rate, or there is none."""
        rates = [edge.rate for edge in self.edges if edge.callee == service]
        there = [rate for rate in rates if rate is not None]
        return sum(there) if rates and len(there) == len(rates) else None

    def share_of(self, service: str) -> float | None:
        """Return which share of all requests reaches `service`. None if any rate is unknown."""
        rates = [edge.rate for edge in self.edges]
        there = [rate for rate in rates if rate is not None]
        own = self.rate_of(service)
        if own is None or len(there) < len(rates) or sum(there) <= 0:
            return None
        return own / sum(there)


def graph_of(edges: Iterable[Edge], services: Iterable[str] = ()) -> ServiceGraph:
    """Return the graph of `edges`. Rates of the same edge are added; one that is unknown makes the sum unknown."""
    merged: dict[tuple[str, str], float | None] = {}
    for edge in edges:
        key = (edge.caller, edge.callee)
        before = merged.get(key, 0.0)
        merged[key] = None if before is None or edge.rate is None else before + edge.rate
    names = {*services, *(name for pair in merged for name in pair)}
    found = tuple(Edge(caller=a, callee=b, rate=rate) for (a, b), rate in sorted(merged.items()))
    return ServiceGraph(services=tuple(sorted(names)), edges=found)


def from_depends_on(depends_on: Mapping[str, Iterable[str]]) -> ServiceGraph:
    """Return the graph of the `dependsOn` lists of local services. Rates are unknown."""
    edges = [Edge(caller=caller, callee=callee) for caller, callees in depends_on.items() for callee in callees]
    return graph_of(edges, depends_on)


def from_csv(text: str) -> ServiceGraph:
    """Return the graph of a CSV with the columns caller, callee and calls (or rate). Raises: InvalidError."""
    reader = csv.DictReader(io.StringIO(text))
    columns = set(reader.fieldnames or ())
    amount = next((name for name in ("rate", "calls") if name in columns), None)
    if not {"caller", "callee"} <= columns:
        raise InvalidError([Problem(path="", message="must have the columns caller and callee, and calls or rate")])
    edges, problems = [], []
    for number, row in enumerate(reader, start=2):
        rate, problem = _amount(row.get(amount) if amount else None)
        if not row["caller"] or not row["callee"]:
            problem = "names no caller or no callee"
        if problem:
            problems.append(Problem(path=f"line {number}", message=problem))
        edges.append(Edge(caller=row["caller"] or "", callee=row["callee"] or "", rate=rate))
    if problems:
        raise InvalidError(problems)
    return graph_of(edges)


def _amount(text: str | None) -> tuple[float | None, str | None]:
    """Return the amount of a cell, and what is wrong with it."""
    if not text:
        return None, None
    try:
        amount = float(text)
    except ValueError:
        return None, f"{text!r} is not a number"
    return (amount, None) if 0 <= amount < float("inf") else (None, f"{text} is not a rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an instant query of Prometheus: its labels, and its value."""

    labels: Mapping[str, str]
    value: float


def istio_query(namespace: str | None = None, window: str = "5m") -> str:
    """Return the query of the edges. Only the caller's side counts, since a target that is down reports nothing."""
    where = f',destination_service_namespace="{namespace}"' if namespace else ""
    return (
        "sum by (source_canonical_service, destination_canonical_service, destination_service_name) "
        f'(rate(istio_requests_total{{reporter=~"source|waypoint"{where}}}[{window}])) > 0'
    )


def from_istio(series: Iterable[Series]) -> ServiceGraph:
    """Return the graph of the answer to `istio_query`. What Istio does not know is left out."""
    edges = []
    for one in series:
        caller = one.labels.get("source_canonical_service", OUTSIDE)
        callee = _callee(one.labels)
        if OUTSIDE not in {caller, callee} and one.value > 0:
            edges.append(Edge(caller=caller, callee=callee, rate=one.value))
    return graph_of(edges)


def _callee(labels: Mapping[str, str]) -> str:
    """Return who was called. Without an endpoint the workload is unknown, and only the service's name is left."""
    canonical = labels.get("destination_canonical_service", OUTSIDE)
    return canonical if canonical != OUTSIDE else labels.get("destination_service_name", OUTSIDE)
