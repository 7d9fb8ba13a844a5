"""Tests of suites: files, requests, defaults, schedules, and the paths of problems."""

from typing import Any

import pytest
from harness.bad_requests import SUITES

from model.content import ArtifactContent, LocalContent
from model.problems import InvalidError
from model.request import LocalTest, TestRequest, with_content
from model.suite import Start, Suite, describe_suite_schema, is_suite, suite_to_raw
from orchestrator.checking import check_file, check_suite

TEST: dict[str, Any] = {
    "name": "orders",
    "type": "pytest",
    "content": {"type": "inline", "files": {"test_a.py": "def test_a(): pass\n"}},
}
LOCAL: dict[str, Any] = {**TEST, "content": {"type": "local", "path": "../shop", "entry": "tests"}}
SUITE: dict[str, Any] = {"name": "shop", "tests": [TEST, {**TEST, "name": "payments"}]}
DIGEST = "0" * 64


def problems(raw: object, *, allow_local: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        check_suite(raw, allow_local=allow_local)
    return [(p.path, p.message) for p in caught.value.problems]


def paths(raw: object) -> list[str]:
    return [path for path, _ in problems(raw)]


def test_a_suite_keeps_the_order_of_its_tests() -> None:
    suite = check_suite(SUITE)

    assert [test.name for test in suite.tests] == ["orders", "payments"]
    assert (suite.overlap, suite.schedules) == ("skip", ())


def test_a_suite_written_as_json_is_read_back_equal() -> None:
    suite = check_suite({**SUITE, "description": "all", "schedules": [{"interval": 3600}], "defaults": {"priority": 2}})

    assert check_suite(suite_to_raw(suite)) == suite
    assert suite.tests[0].priority == 2


def test_problems_have_the_position_of_the_test() -> None:
    wrong = {
        **SUITE,
        "tests": [TEST, {**TEST, "name": "b", "config": {"timeout": 0}}, {**TEST, "name": "c", "typ": "x"}],
    }

    assert paths(wrong) == ["tests[1].config.timeout", "tests[2].typ"]


def test_problems_of_a_suite_and_of_its_tests_are_reported_together() -> None:
    wrong = {"nam": "shop", "overlap": "wait", "tests": [{**TEST, "priority": 99}], "schedules": [{}]}

    assert paths(wrong) == ["nam", "overlap", "schedules[0]", "tests[0].priority"]


@pytest.mark.parametrize("case", SUITES.cases, ids=lambda case: case["name"])
def test_each_rule_of_a_suite_reports_exactly_its_problem(case: dict[str, Any]) -> None:
    assert problems(SUITES.wrong(case)) == [(problem["path"], problem["message"]) for problem in case["problems"]]


def test_other_values_and_local_content_are_refused_as_a_suite() -> None:
    assert paths(5) == [""]
    assert paths({**SUITE, "start": True}) == ["start"]
    assert paths({**SUITE, "tests": [LOCAL]}) == ["tests[0].content.type"]


def test_values_of_a_test_override_the_defaults_key_by_key() -> None:
    defaults = {"config": {"timeout": 60, "env": {"A": "1", "B": "1"}}, "tags": ["all"]}
    own = {**TEST, "config": {"env": {"B": "2"}}, "tags": ["mine"]}

    test = check_suite({**SUITE, "defaults": defaults, "tests": [own]}).tests[0]

    assert (test.config.timeout, test.config.env, test.tags) == (60, {"A": "1", "B": "2"}, ("mine",))


def test_a_problem_of_the_defaults_is_reported_once_with_their_path() -> None:
    assert paths({**SUITE, "defaults": {"config": {"timeout": 0}, "prority": 1}}) == [
        "defaults.config.timeout",
        "defaults.prority",
    ]


def test_a_conflict_of_a_default_with_a_test_is_reported_at_the_default() -> None:
    wrong = {
        **SUITE,
        "defaults": {"resources": {"cpuLimit": "1"}},
        "tests": [{**TEST, "resources": {"cpuRequest": "2"}}],
    }

    assert paths(wrong) == ["defaults.resources.cpuLimit"]


def test_a_file_may_have_local_content() -> None:
    suite = check_suite({**SUITE, "tests": [LOCAL]}, allow_local=True)

    assert isinstance(suite.tests[0], LocalTest)
    assert suite.tests[0].content == LocalContent(path="../shop", entry="tests")
    with pytest.raises(ValueError, match="still local"):
        suite.requests()


def test_local_content_is_replaced_by_the_uploaded_folder() -> None:
    suite = check_suite({**SUITE, "tests": [LOCAL]}, allow_local=True)
    sent = ArtifactContent(sha256=DIGEST, path="tests")

    request = with_content(suite.tests[0], sent)

    assert isinstance(request, TestRequest)
    assert request.content == sent
    assert check_suite(suite_to_raw(Suite(name="shop", tests=(request,)))).requests() == (request,)


def test_the_rules_hold_for_local_tests_too() -> None:
    wrong = {
        **SUITE,
        "tests": [{**LOCAL, "command": ["x"], "content": {"type": "local", "path": "a", "entry": "../b"}}],
    }

    assert [path for path, _ in problems(wrong, allow_local=True)] == ["tests[0].command", "tests[0].content.entry"]


def test_a_file_is_a_suite_when_it_has_tests() -> None:
    assert isinstance(check_file(SUITE), Suite)
    assert isinstance(check_file(TEST), TestRequest)
    assert isinstance(check_file(LOCAL), LocalTest)


def test_problems_of_a_file_with_one_test_have_no_prefix() -> None:
    with pytest.raises(InvalidError) as caught:
        check_file({**LOCAL, "priority": 10})

    assert [p.path for p in caught.value.problems] == ["priority"]


def test_the_schema_describes_the_tests_too() -> None:
    schema = describe_suite_schema()

    assert "cpuRequest" in str(schema["properties"]["tests"]["items"])
    assert schema["properties"]["overlap"]["default"] == "skip"


def test_the_start_of_a_suite_is_read_and_written() -> None:
    together = check_suite({**SUITE, "start": "together"})

    assert (check_suite(SUITE).start, together.start) == (Start.ONE_BY_ONE, Start.TOGETHER)
    assert check_suite(suite_to_raw(together)) == together


def test_tests_that_need_the_same_exclusive_name_cannot_start_together() -> None:
    """One test would hold the name while the other waits for it, so the suite would wait for ever."""
    wants = {"config": {"exclusive": ["printer", "staging"]}}
    suite = {**SUITE, "tests": [{**TEST, **wants}, {**TEST, **wants, "name": "b"}]}
    message = "is also wanted by tests[0]: they could never start together"

    assert len(check_suite(suite).tests) == 2
    assert problems({**suite, "start": "together"}) == [
        ("tests[1].config.exclusive[0]", message),
        ("tests[1].config.exclusive[1]", message),
    ]
    assert problems({**SUITE, "start": "together", "defaults": {"config": {"exclusive": ["printer"]}}}) == [
        ("defaults.config.exclusive[0]", message)
    ]


FILES = [
    ({"name": "a", "type": "pytest", "contnet": LOCAL["content"]}, "contnet"),
    ({"name": "a", "tests": [{"name": "a", "type": "pytest", "contnet": LOCAL["content"]}]}, "tests[0].contnet"),
    (
        {"name": "a", "defaults": {"contnet": LOCAL["content"]}, "tests": [{"name": "a", "type": "pytest"}]},
        "defaults.contnet",
    ),
    ({"name": "a", "tests": [LOCAL | {"content": {"tpye": "local", "path": "x"}}]}, "tests[0].content.tpye"),
    ({"name": "a", "tests": [TEST | {"content": {"typ": "inline", "files": {"a": "b"}}}]}, "tests[0].content.typ"),
    ({"name": "a", "tsts": [TEST]}, "tsts"),
    ({"name": "a", "test": [LOCAL]}, "test"),
]


@pytest.mark.parametrize(("document", "path"), FILES, ids=[path for _, path in FILES])
def test_a_misspelt_key_is_one_problem_and_no_more(document: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_file(document)

    assert [problem.path for problem in caught.value.problems] == [path]
    assert "did you mean" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("raw", "suite"),
    [
        ({"tests": 1}, True),
        ({"test": [TEST]}, True),
        ({"test": "orders"}, False),
        ({"name": [TEST]}, False),
        ({1: [TEST]}, False),
        ({}, False),
    ],
)
def test_a_document_with_a_list_under_a_misspelt_key_for_the_tests_is_a_suite(raw: Any, *, suite: bool) -> None:
    assert is_suite(raw) is suite
