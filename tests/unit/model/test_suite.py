"""Suites: files and requests, defaults, schedules, and problems at their places."""

from typing import Any

import pytest
from harness.bad_requests import SUITES

from model.content import ArtifactContent, LocalContent
from model.problems import InvalidError
from model.request import LocalTest, TestRequest, with_content
from model.suite import Start, Suite, describe_suite_schema, suite_to_raw
from orchestrator.checking import check_file, check_suite

TEST: dict[str, Any] = {
    "name": "orders",
    "type": "pytest",
    "content": {"type": "inline", "files": {"test_a.py": "def test_a(): pass\n"}},
}
LOCAL: dict[str, Any] = {**TEST, "content": {"type": "local", "path": "../shop", "entry": "tests"}}
SUITE: dict[str, Any] = {"name": "shop", "tests": [TEST, {**TEST, "name": "payments"}]}
DIGEST = "0" * 64


def told(raw: object, *, allow_local: bool = False) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        check_suite(raw, allow_local=allow_local)
    return [(p.path, p.message) for p in caught.value.problems]


def paths(raw: object) -> list[str]:
    return [path for path, _ in told(raw)]


def test_a_suite_keeps_the_order_of_its_tests() -> None:
    suite = check_suite(SUITE)

    assert [test.name for test in suite.tests] == ["orders", "payments"]
    assert (suite.overlap, suite.schedules) == ("skip", ())


def test_a_suite_survives_its_plain_form() -> None:
    suite = check_suite({**SUITE, "description": "all", "schedules": [{"interval": 3600}], "defaults": {"priority": 2}})

    assert check_suite(suite_to_raw(suite)) == suite
    assert suite.tests[0].priority == 2


def test_problems_name_the_test() -> None:
    wrong = {
        **SUITE,
        "tests": [TEST, {**TEST, "name": "b", "config": {"timeout": 0}}, {**TEST, "name": "c", "typ": "x"}],
    }

    assert paths(wrong) == ["tests[1].config.timeout", "tests[2].typ"]


def test_the_problems_of_a_suite_and_of_its_tests_come_together() -> None:
    wrong = {"nam": "shop", "overlap": "queue", "tests": [{**TEST, "priority": 99}], "schedules": [{}]}

    assert paths(wrong) == ["nam", "overlap", "schedules[0]", "tests[0].priority"]


@pytest.mark.parametrize("case", SUITES.cases, ids=lambda case: case["name"])
def test_each_rule_of_a_suite_tells_exactly_its_problem(case: dict[str, Any]) -> None:
    assert told(SUITES.wrong(case)) == [(problem["path"], problem["message"]) for problem in case["problems"]]


def test_what_is_no_suite_and_what_stands_only_in_files_are_told() -> None:
    assert paths(5) == [""]
    assert paths({**SUITE, "start": True}) == ["start"]
    assert paths({**SUITE, "tests": [LOCAL]}) == ["tests[0].content.type"]


def test_a_test_wins_over_the_defaults_key_by_key() -> None:
    defaults = {"config": {"timeout": 60, "env": {"A": "1", "B": "1"}}, "tags": ["all"]}
    own = {**TEST, "config": {"env": {"B": "2"}}, "tags": ["mine"]}

    test = check_suite({**SUITE, "defaults": defaults, "tests": [own]}).tests[0]

    assert (test.config.timeout, test.config.env, test.tags) == (60, {"A": "1", "B": "2"}, ("mine",))


def test_a_problem_of_the_defaults_is_told_there_and_once() -> None:
    assert paths({**SUITE, "defaults": {"config": {"timeout": 0}, "prority": 1}}) == [
        "defaults.config.timeout",
        "defaults.prority",
    ]


def test_a_problem_between_a_default_and_a_test_is_told_at_the_wrong_field() -> None:
    wrong = {
        **SUITE,
        "defaults": {"resources": {"cpuLimit": "1"}},
        "tests": [{**TEST, "resources": {"cpuRequest": "2"}}],
    }

    assert paths(wrong) == ["defaults.resources.cpuLimit"]


def test_files_may_hold_local_folders() -> None:
    suite = check_suite({**SUITE, "tests": [LOCAL]}, allow_local=True)

    assert isinstance(suite.tests[0], LocalTest)
    assert suite.tests[0].content == LocalContent(path="../shop", entry="tests")
    with pytest.raises(ValueError, match="still local"):
        suite.requests()


def test_local_content_is_replaced_by_what_was_sent() -> None:
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

    assert [path for path, _ in told(wrong, allow_local=True)] == ["tests[0].command", "tests[0].content.entry"]


def test_a_file_is_a_suite_when_it_has_tests() -> None:
    assert isinstance(check_file(SUITE), Suite)
    assert isinstance(check_file(TEST), TestRequest)
    assert isinstance(check_file(LOCAL), LocalTest)


def test_a_file_with_one_test_tells_its_problems_without_a_prefix() -> None:
    with pytest.raises(InvalidError) as caught:
        check_file({**LOCAL, "priority": 10})

    assert [p.path for p in caught.value.problems] == ["priority"]


def test_the_schema_describes_the_tests_too() -> None:
    schema = describe_suite_schema()

    assert "cpuRequest" in str(schema["properties"]["tests"]["items"])
    assert schema["properties"]["overlap"]["default"] == "skip"


def test_a_suite_says_how_its_tests_start() -> None:
    together = check_suite({**SUITE, "start": "together"})

    assert (check_suite(SUITE).start, together.start) == (Start.ONE_BY_ONE, Start.TOGETHER)
    assert check_suite(suite_to_raw(together)) == together


def test_tests_that_want_one_exclusive_thing_cannot_start_together() -> None:
    """Whoever has it keeps the other from starting: the suite would wait for ever."""
    wants = {"config": {"exclusive": ["printer", "staging"]}}
    suite = {**SUITE, "tests": [{**TEST, **wants}, {**TEST, **wants, "name": "b"}]}
    message = "is also wanted by tests[0]: they could never start together"

    assert len(check_suite(suite).tests) == 2
    assert told({**suite, "start": "together"}) == [
        ("tests[1].config.exclusive[0]", message),
        ("tests[1].config.exclusive[1]", message),
    ]
    assert told({**SUITE, "start": "together", "defaults": {"config": {"exclusive": ["printer"]}}}) == [
        ("defaults.config.exclusive[0]", message)
    ]
