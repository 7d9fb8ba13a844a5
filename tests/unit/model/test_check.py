"""Tests of `check`: it returns a value, or raises all problems with their paths."""

import copy
import datetime as dt
import json
from typing import Any

import pytest
from harness.bad_requests import REQUESTS
from harness.bad_requests import merged as changed

from model.check import describe_schema
from model.problems import InvalidError, Problem
from model.request import TestType
from orchestrator.checking import check

VALID = REQUESTS.valid


def problems(raw: object) -> list[Problem]:
    with pytest.raises(InvalidError) as caught:
        check(raw)
    return list(caught.value.problems)


def paths(raw: object) -> list[str]:
    return [problem.path for problem in problems(raw)]


def test_a_valid_request_becomes_a_value_with_its_defaults() -> None:
    request = check(VALID)

    assert (request.name, request.type, request.config.timeout) == ("checkout", TestType.PYTEST, 60)
    assert (request.config.parallelism, request.resources.cpu_request) == (1, "100m")


@pytest.mark.parametrize("case", REQUESTS.cases, ids=lambda case: case["name"])
def test_each_rule_reports_exactly_its_problem(case: dict[str, Any]) -> None:
    found = problems(REQUESTS.wrong(case))

    assert [{"path": p.path, "message": p.message} for p in found] == case["problems"]


def test_seven_mistakes_are_seven_problems() -> None:
    case = next(case for case in REQUESTS.cases if case["name"].startswith("seven"))

    assert len(problems(REQUESTS.wrong(case))) == 7


def test_checking_does_not_change_the_input() -> None:
    raw = changed(VALID, {"nmae": "a", "name": None, "config": {"tolerations": [{"kee": "a"}]}})
    before = copy.deepcopy(raw)

    problems(raw)

    assert raw == before


@pytest.mark.parametrize("raw", [None, 5, "name: a", [], [VALID], True])
def test_input_that_is_not_an_object_is_one_problem(raw: object) -> None:
    assert problems(raw) == [Problem(path="", message="must be an object")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dt.date(2026, 1, 1), "is a date, which JSON cannot carry: if text is meant, write it in quotes"),
        (b"checkout", "is a bytes, which JSON cannot carry: if text is meant, write it in quotes"),
        (("a", "b"), "is a tuple, which JSON cannot carry: if text is meant, write it in quotes"),
        (float("nan"), "is not a finite number"),
        (float("-inf"), "is not a finite number"),
        (10**5000, "is too large a number"),
        ("\ud800", "holds half of a surrogate pair, which is not text"),
    ],
    ids=["date", "bytes", "tuple", "nan", "infinity", "huge", "surrogate"],
)
def test_a_value_that_json_cannot_hold_is_reported_once(value: object, message: str) -> None:
    assert problems({**VALID, "name": value}) == [Problem(path="name", message=message)]


def test_a_key_that_is_not_text_is_reported_at_its_object() -> None:
    """YAML reads `on:` as true and `1:` as a number."""
    found = problems({**VALID, "env": {True: "a"}, "labels": {1: "b"}})

    assert [p.path for p in found] == ["env", "labels"]
    assert "True" in found[0].message
    assert "write it in quotes" in found[0].message


def test_a_structure_that_contains_itself_is_a_problem_not_a_crash() -> None:
    loop: dict[str, object] = {}
    loop["labels"] = loop

    assert any("nested deeper" in p.message for p in problems({**VALID, "labels": loop}))


def test_only_the_first_1000_problems_are_listed_with_the_total() -> None:
    found = problems({**VALID, **{f"unknown-{number}": 1 for number in range(1500)}})

    assert len(found) == 1001
    assert found[0] == Problem(path="", message="has 1,500 problems; these are the first 1,000")


def test_a_long_key_is_shortened_in_the_path() -> None:
    """Paths are written to logs, so a key of a megabyte must not appear whole."""
    long = "k" * 2**20

    assert all(len(path) < 120 for path in paths({**VALID, long: 1, "labels": {long: "", f"{long} ": ""}}))


def test_problems_never_contain_the_value_of_a_variable() -> None:
    """Problems are written to logs and shown by Prefect, so they must not reveal values."""
    raw = changed(VALID, {"env": {"KEY": "${secrets.hunter2"}, "config": {"env": {"A-B": "hunter2"}}})

    assert "hunter2" not in str(problems(raw))


@pytest.mark.parametrize(
    "resources",
    [
        {"cpuRequest": 0.5, "memoryRequest": 128974848},
        {"cpuRequest": "1e2", "memoryRequest": "1e9"},
        {"cpuRequest": "500m", "cpuLimit": "0.5"},
        {"memoryRequest": "1Gi", "memoryLimit": "1024Mi"},
    ],
)
def test_quantities_are_compared_as_amounts_not_as_text(resources: dict[str, object]) -> None:
    assert check({**VALID, "resources": resources}).resources


def test_an_optional_field_may_be_null() -> None:
    assert check({**VALID, "command": None, "resources": {"cpuLimit": None}}).command is None


def test_a_misspelt_key_beside_the_right_one_does_not_replace_its_value() -> None:
    assert paths(changed(VALID, {"name": "", "nmae": "checkout"})) == ["name", "nmae"]


def test_all_misspelt_keys_are_reported_and_their_values_checked() -> None:
    raw = changed(VALID, {"type": None, "typ": "custom", "config": None, "cofnig": {"timeot": 5, "parallelism": 0}})

    assert paths(raw) == ["cofnig", "cofnig.parallelism", "cofnig.timeot", "command", "typ"]


def test_the_schema_has_no_references_and_shows_every_default() -> None:
    schema = describe_schema()

    assert "$ref" not in json.dumps(schema)
    assert list(schema["properties"])[:3] == ["name", "type", "content"]
    assert sorted(schema["required"]) == ["content", "name", "type"]
    assert all("default" in schema["properties"][key] for key in schema["properties"] if key not in schema["required"])
    assert schema["properties"]["config"]["properties"]["retryPolicy"]["properties"]["maxRetries"]["default"] == 0


def test_the_schema_names_fields_in_words() -> None:
    properties = describe_schema()["properties"]

    assert properties["resources"]["properties"]["cpuRequest"]["title"] == "CPU request"
    assert properties["config"]["properties"]["serviceAccount"]["title"] == "Service account"


def test_each_content_of_the_schema_requires_its_type() -> None:
    contents = describe_schema()["properties"]["content"]["oneOf"]

    assert [content["properties"]["type"]["const"] for content in contents] == ["git", "inline", "artifact", "archive"]
    assert all("type" in content["required"] for content in contents)
