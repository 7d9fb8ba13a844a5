"""The rules across the fields of a request that concern nodes and other runs: affinity, tolerations, volumes."""

import re
from collections.abc import Iterator

from model.config import HOST_LABEL, ZONE_LABEL, Operator
from model.lenient import items, mapping, text
from model.problems import Finding, Location
from model.refused_keys import REFUSED_KEYS

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SOURCES = ("configMap", "secret", "claim")
_TOPOLOGY = {"apart": HOST_LABEL, "spread": ZONE_LABEL}


def _expressions_have_their_values(raw: dict[str, object]) -> Iterator[Finding]:
    for location, term in _terms(mapping(mapping(raw.get("config")).get("affinity"))):
        for position, expression in enumerate(items(mapping(term).get("matchExpressions"))):
            message = _wrong_values(mapping(expression))
            if message:
                yield Finding(location=(*location, "matchExpressions", position, "values"), message=message)


def _terms(affinity: dict[str, object]) -> Iterator[tuple[Location, object]]:
    for position, term in enumerate(items(affinity.get("required"))):
        yield ("config", "affinity", "required", position), term
    for position, preferred in enumerate(items(affinity.get("preferred"))):
        yield ("config", "affinity", "preferred", position, "preference"), mapping(preferred).get("preference")


def _wrong_values(expression: dict[str, object]) -> str:
    operator, values = text(expression.get("operator")), expression.get("values", [])
    if not isinstance(values, list):
        return ""
    if operator in {Operator.EXISTS, Operator.DOES_NOT_EXIST} and values:
        return f"must be empty for {operator}"
    if operator in {Operator.IN, Operator.NOT_IN} and not values:
        return f"must not be empty for {operator}"
    if operator in {Operator.GT, Operator.LT} and not _is_one_integer(values):
        return f"must be exactly one whole number, as text, for {operator}"
    return ""


def _is_one_integer(values: list[object]) -> bool:
    return len(values) == 1 and (not isinstance(values[0], str) or bool(_INTEGER.fullmatch(values[0])))


def _tolerations_make_sense(raw: dict[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(mapping(raw.get("config")).get("tolerations"))):
        location: Location = ("config", "tolerations", position)
        toleration = mapping(entry)
        operator = toleration.get("operator", "Equal")
        if operator == "Exists" and toleration.get("value", "") != "":
            yield Finding(location=(*location, "value"), message="must be empty for Exists")
        if operator == "Equal" and isinstance(entry, dict) and toleration.get("key", "") == "":
            yield Finding(location=(*location, "key"), message="must not be empty, except with operator Exists")
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            yield Finding(location=(*location, "tolerationSeconds"), message="is allowed only with effect NoExecute")


def _volumes_have_one_source(raw: dict[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(mapping(raw.get("config")).get("volumes"))):
        volume = mapping(entry)
        sources = sum(volume.get(source) is not None for source in _SOURCES) + bool(volume.get("emptyDir", False))
        if isinstance(entry, dict) and sources != 1 and not (sources == 0 and _means_a_source(volume)):
            message = f"must have exactly one source of configMap, secret, claim and emptyDir, not {sources}"
            yield Finding(location=("config", "volumes", position), message=message)


def _means_a_source(volume: dict[str, object]) -> bool:
    """Return whether a source is there by a key that is refused, or misspelt: that is told, and enough."""
    small = {source.lower() for source in (*_SOURCES, "emptyDir")}
    return any(key in REFUSED_KEYS or key.lower() in small for key in volume.keys() - {*_SOURCES, "emptyDir"})


def _volumes_are_distinct(raw: dict[str, object]) -> Iterator[Finding]:
    for key in ("name", "mountPath"):
        seen: set[str] = set()
        for position, entry in enumerate(items(mapping(raw.get("config")).get("volumes"))):
            value = mapping(entry).get(key)
            if isinstance(value, str):
                if value in seen:
                    yield Finding(location=("config", "volumes", position, key), message="is there twice")
                seen.add(value)


def _rules_about_runs_are_distinct(raw: dict[str, object]) -> Iterator[Finding]:
    """Refuse two rules about the same runs and domains: one would be ignored, or contradict the other."""
    for kind, default in _TOPOLOGY.items():
        first: dict[object, int] = {}
        for position, entry in enumerate(items(mapping(raw.get("config")).get(kind))):
            rule = mapping(entry)
            labels = mapping(rule.get("matchLabels"))
            key = (
                text(rule.get("topologyKey", default)),
                *sorted((name, str(value)) for name, value in labels.items()),
            )
            if labels and first.setdefault(key, position) != position:
                message = f"is about the same labels and topologyKey as {kind}[{first[key]}]"
                yield Finding(location=("config", kind, position), message=message)


RULES = (
    _expressions_have_their_values,
    _tolerations_make_sense,
    _volumes_have_one_source,
    _volumes_are_distinct,
    _rules_about_runs_are_distinct,
)
