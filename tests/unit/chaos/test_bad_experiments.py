"""Each malformed or dangerous experiment is refused with every problem, its path and its reason."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chaos.experiment_reading import check_experiment, experiment_to_raw
from model.document import read_yaml
from model.problems import InvalidError

DATA: Any = read_yaml((Path(__file__).parents[2] / "data" / "bad_experiments.yaml").read_text())
CASES: list[dict[str, Any]] = DATA["cases"]


def changed(whole: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(whole, dict):
        return change
    merged = {key: changed(whole.get(key), change[key]) if key in change else whole[key] for key in whole}
    return {key: value for key, value in (change | merged).items() if value is not None}


def raw_of(case: dict[str, Any]) -> Any:
    return case["raw"] if "raw" in case else changed(DATA[case.get("of", "valid")], case["change"])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_bad_experiment_is_refused_with_path_and_reason(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        check_experiment(raw_of(case))

    wanted = [(path, message) for problem in case["problems"] for path, message in problem.items()]
    assert [(problem.path, problem.message) for problem in refused.value.problems] == wanted


def test_there_are_forty_of_them() -> None:
    assert len(CASES) >= 40


NONSENSE: list[Any] = [{}, [], "x", 0, -1, 1e308, 10**30, True, {"a": {}}, [[1]], "1e999"]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return where every value of a document stands."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*place, key)
        yield from places(inner, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    head, *rest = place
    inner = replaced(value[head], tuple(rest), new)
    if isinstance(value, dict):
        return value | {head: inner}
    return [inner if number == head else old for number, old in enumerate(value)]


@pytest.mark.parametrize("name", ["valid", "cluster"])
def test_nonsense_in_any_place_is_refused_or_accepted_and_breaks_nothing(name: str) -> None:
    """Each rule reads what nobody has checked yet: the check must find problems, never fail itself."""
    whole = experiment_to_raw(check_experiment(DATA[name]))
    for place in places(whole):
        for nonsense in NONSENSE:
            with suppress(InvalidError):
                check_experiment(replaced(whole, place, nonsense))


@pytest.mark.parametrize("name", ["valid", "cluster"])
def test_what_they_were_made_from_is_accepted(name: str) -> None:
    assert check_experiment(DATA[name]).name == DATA[name]["name"]
