"""What a simulation is given: the runs of TRACE.csv and the nodes of NODES.csv.

TRACE has the columns submit_seconds, duration_seconds, cpu_milli, memory_mib, gpu, priority, team, user; any may be
missing, or empty in a row, and then has its default. NODES has name, cpu_milli, memory_mib, and may have gpu, labels
(`key=value;key=value`) and count: so many equal nodes, name-1 to name-n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from model.ids import NodeName
from model.resources import Resources
from scheduler.simulation.csv_table import Column, Findings, Row, cut, number, read_table, whole, word
from scheduler.values.node import Node

MIB = 2**20
MOST_RUNS = 1_000_000
MOST_NODES = 100_000
MOST_SECONDS = 1e9
"""About 31 years."""
MOST_AMOUNT = 10**9
"""Of milli-cores and MiB: far more than any machine has, and far from the end of 64 bits."""
MOST_GPUS = 1024
LONGEST_NAME = 100
LONGEST_LABELS = 4000

_SECONDS = number(0, MOST_SECONDS)
_AMOUNT = whole(0, MOST_AMOUNT)
_GPUS = whole(0, MOST_GPUS)
_NAME = word(LONGEST_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRun:
    """One run of a trace: when it comes, and what it takes. `submit` counts from the beginning of the trace."""

    submit: timedelta
    duration: timedelta
    resources: Resources
    priority: int = 5
    team: str = "default"
    user: str = "default"


def read_trace(text: str) -> tuple[TraceRun, ...]:
    """Return the runs of a TRACE file in order of arrival, of equal ones that of the file.

    Raises: InvalidError with all problems, each with line and column.
    """
    findings = Findings()
    rows = read_table(text, _RUN, findings)
    findings.check()
    if not rows:
        findings.add("there is a header but no run", 1)
    elif len(rows) > MOST_RUNS:
        findings.add(f"{len(rows)} runs; {MOST_RUNS} are the most", rows[MOST_RUNS].line)
    findings.check()
    return tuple(sorted((_run(row) for row in rows), key=lambda run: run.submit))


def read_nodes(text: str) -> tuple[Node, ...]:
    """Return the nodes of a NODES file, in its order.

    Raises: InvalidError with all problems, each with line and column.
    """
    findings = Findings()
    rows = read_table(text, _NODE, findings)
    findings.check()
    if not rows:
        findings.add("there is a header but no node", 1)
    elif sum(row.cells["count"] for row in rows) > MOST_NODES:
        findings.add(f"more than {MOST_NODES} nodes", rows[-1].line, "count")
    findings.check()
    nodes = [(row.line, node) for row in rows for node in _nodes(row)]
    _check_names(nodes, findings)
    findings.check()
    return tuple(node for _, node in nodes)


def _run(row: Row) -> TraceRun:
    cells = row.cells
    return TraceRun(
        submit=timedelta(seconds=cells["submit_seconds"]),
        duration=timedelta(seconds=cells["duration_seconds"]),
        resources=_resources(row),
        priority=cells["priority"],
        team=cells["team"],
        user=cells["user"],
    )


def _nodes(row: Row) -> list[Node]:
    cells = row.cells
    name, count = cells["name"], cells["count"]
    names = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
    capacity = _resources(row)
    return [Node(name=NodeName(each), capacity=capacity, labels=cells["labels"]) for each in names]


def _resources(row: Row) -> Resources:
    cells = row.cells
    return Resources(cpu_milli=cells["cpu_milli"], memory_bytes=cells["memory_mib"] * MIB, gpu=cells["gpu"])


def _check_names(nodes: Sequence[tuple[int, Node]], findings: Findings) -> None:
    first: dict[NodeName, int] = {}
    for line, node in nodes:
        if node.name in first:
            findings.add(f"the node {node.name} is already in line {first[node.name]}", line, "name")
        first.setdefault(node.name, line)


def _labels(text: str) -> dict[str, str]:
    """Return labels written as `key=value;key=value`."""
    if len(text) > LONGEST_LABELS:
        raise ValueError(f"must have {LONGEST_LABELS} characters at most, not {len(text)}")
    labels: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise ValueError(f"must be key=value;key=value, not {cut(pair)}")
        if key in labels:
            raise ValueError(f"has the label {cut(key)} twice")
        labels[key] = value
    return labels


_RUN = {
    "submit_seconds": Column(_SECONDS, 0.0),
    "duration_seconds": Column(_SECONDS, 60.0),
    "cpu_milli": Column(_AMOUNT, 100),
    "memory_mib": Column(_AMOUNT, 128),
    "gpu": Column(_GPUS, 0),
    "priority": Column(whole(0, 9), 5),
    "team": Column(_NAME, "default"),
    "user": Column(_NAME, "default"),
}
_NODE = {
    "name": Column(_NAME, required=True),
    "cpu_milli": Column(_AMOUNT, required=True),
    "memory_mib": Column(_AMOUNT, required=True),
    "gpu": Column(_GPUS, 0),
    "labels": Column(_labels, {}),
    "count": Column(whole(1, MOST_NODES), 1),
}
