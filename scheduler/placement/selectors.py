"""Which nodes a run accepts by their labels and taints; the rules are those of Kubernetes (facts of placement, 1)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from model.config import (
    Effect,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Operator,
    Toleration,
    TolerationOperator,
)
from scheduler.values.node import Node, Taint

_DIGITS = re.compile(r"[+-]?[0-9]{1,20}")


def has_labels(node: Node, wanted: Iterable[tuple[str, str]]) -> bool:
    """Return whether a node has each of the wanted labels."""
    return all(node.labels.get(key) == value for key, value in wanted)


def any_term(node: Node, terms: Sequence[NodeSelectorTerm]) -> bool:
    """Return whether one of the terms holds; no terms ask for nothing."""
    return not terms or any(term_holds(node.labels, term) for term in terms)


def term_holds(labels: Mapping[str, str], term: NodeSelectorTerm) -> bool:
    """Return whether all expressions of a term hold."""
    return all(_holds(labels, expression) for expression in term.match_expressions)


def keys_of(terms: Iterable[NodeSelectorTerm]) -> frozenset[str]:
    """Return the label keys that some terms ask for."""
    return frozenset(expression.key for term in terms for expression in term.match_expressions)


def intolerable(node: Node, tolerations: Sequence[Toleration]) -> Taint | None:
    """Return the first taint that keeps a run away from a node, None if there is none."""
    kept_away = (t for t in node.taints if t.effect is not Effect.PREFER_NO_SCHEDULE and not tolerated(t, tolerations))
    return next(kept_away, None)


def unwelcome(node: Node, tolerations: Sequence[Toleration]) -> bool:
    """Return whether a node would rather not have a run that does not tolerate its taint."""
    return any(t.effect is Effect.PREFER_NO_SCHEDULE and not tolerated(t, tolerations) for t in node.taints)


def tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    """Return whether one of the tolerations covers a taint."""
    return any(_covers(toleration, taint) for toleration in tolerations)


def _covers(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect is not None and toleration.effect is not taint.effect:
        return False
    exists = toleration.operator is TolerationOperator.EXISTS
    if not toleration.key:
        return exists  # no key with Exists covers every taint; no key with Equal covers none
    return toleration.key == taint.key and (exists or toleration.value == taint.value)


def _holds(labels: Mapping[str, str], expression: NodeSelectorRequirement) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case Operator.IN:
            return value is not None and value in expression.values
        case Operator.NOT_IN:
            return value is None or value not in expression.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.GT | Operator.LT:
            return _compares(value, expression)


def _compares(value: str | None, expression: NodeSelectorRequirement) -> bool:
    """Compare as integers; what is none does not match."""
    have, want = (_integer(text) for text in (value or "", next(iter(expression.values), "")))
    if have is None or want is None:
        return False
    return have > want if expression.operator is Operator.GT else have < want


def _integer(text: str) -> int | None:
    """Return a number as kube-scheduler reads it: digits alone, of 64 bits. `1_0` is a number for Python only."""
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
