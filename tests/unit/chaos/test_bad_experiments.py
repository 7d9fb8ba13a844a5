"""Each malformed or dangerous experiment is refused with every problem, its path and its reason."""

from pathlib import Path
from typing import Any

import pytest

from chaos.experiment_reading import check_experiment
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


@pytest.mark.parametrize("name", ["valid", "cluster"])
def test_what_they_were_made_from_is_accepted(name: str) -> None:
    assert check_experiment(DATA[name]).name == DATA[name]["name"]
