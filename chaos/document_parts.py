"""The parts of a document that nobody has checked yet: faults, SLOs and health checks, each with its location."""

from model.lenient import items, mapping
from model.problems import Location

Document = dict[str, object]


def faults_of(document: Document) -> list[tuple[Location, Document]]:
    """Return the faults of a document with their locations."""
    listed: list[tuple[Location, Document]] = [
        (("faults", position), mapping(fault)) for position, fault in enumerate(items(document.get("faults")))
    ]
    single = document.get("fault")
    return ([(("fault",), mapping(single))] if single is not None else []) + listed


def slos_of(document: Document) -> list[tuple[Location, Document]]:
    """Return the SLOs of the hypothesis with their locations."""
    hypothesis = mapping(document.get("hypothesis"))
    listed: list[tuple[Location, Document]] = [
        (("hypothesis", "slos", position), mapping(slo)) for position, slo in enumerate(items(hypothesis.get("slos")))
    ]
    single = hypothesis.get("slo")
    return ([(("hypothesis", "slo"), mapping(single))] if single is not None else []) + listed


def checks_of(document: Document) -> list[tuple[Location, Document]]:
    """Return the health checks of the hypothesis with their locations."""
    listed = items(mapping(document.get("hypothesis")).get("healthChecks"))
    return [(("hypothesis", "healthChecks", position), mapping(check)) for position, check in enumerate(listed)]


def number(value: object) -> float | None:
    """Return a value as a number, None if it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def active_seconds(document: Document) -> float:
    """Return how long faults are active, 0 if that is not known."""
    whole = number(document.get("durationSeconds")) or 0.0
    seconds = [number(fault.get("durationSeconds")) or whole for _, fault in faults_of(document)]
    return sum(seconds) if document.get("order") == "sequence" else max(seconds, default=0.0)
