"""Tests of the smaller values: resources, retries, states, identifiers, secrets, YAML, paths."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from model.document import read_yaml, refuse_too_large
from model.execution import (
    PHASES,
    TRANSITIONS,
    Reason,
    Status,
    Verdict,
)
from model.fault import exit_code, worst
from model.forms import repository
from model.ids import short, uuid7
from model.problems import InvalidError, Problem, dotted
from model.resources import ResourceRequirements, Resources, Used
from model.result import Outcome, Result, summarise
from model.retry import Backoff, RetryCondition, RetryPolicy
from model.secret import fill, names, well_formed

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSED = Verdict(status=Status.COMPLETED)
FAILED = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED)
LATE = Verdict(status=Status.TIMEOUT)
MISCONFIGURED = Verdict(status=Status.FAILED, reason=Reason.CONFIG)


def test_requests_become_numbers_and_add_up() -> None:
    asked = ResourceRequirements(cpu_request="0.5", memory_request="1Gi", ephemeral_storage="1k", gpu_request=1)

    both = asked.requested() + asked.requested()

    assert both == Resources(cpu_milli=1000, memory_bytes=2**31, ephemeral_bytes=2000, gpu=2)


def test_auto_is_what_was_used_and_a_default_before_that() -> None:
    auto = ResourceRequirements(cpu_request="auto", memory_request="auto")
    used = Used(cpu_milli=730, memory_bytes=2**30, runs=4)

    assert auto.requested(used) == Resources(cpu_milli=730, memory_bytes=2**30)
    assert auto.requested() == Resources(cpu_milli=500, memory_bytes=2**28)
    assert auto.automatic
    assert not ResourceRequirements().automatic


def test_auto_takes_over_only_what_is_left_to_it() -> None:
    mixed = ResourceRequirements(cpu_request="auto", memory_request="32Mi", gpu_request=1)

    assert mixed.requested(Used(cpu_milli=730, memory_bytes=2**30)) == Resources(
        cpu_milli=730, memory_bytes=2**25, gpu=1
    )


def test_auto_never_exceeds_a_limit() -> None:
    limited = ResourceRequirements(cpu_request="auto", cpu_limit="0.2", memory_request="auto", memory_limit="64Mi")

    assert limited.requested() == Resources(cpu_milli=200, memory_bytes=2**26)


@pytest.mark.parametrize(
    ("given", "fixed"),
    [
        ({"cpu_request": "auto", "memory_request": "32Mi"}, ("730m", "32Mi")),
        ({"cpu_request": "0.5", "memory_request": "auto"}, ("0.5", "1Gi")),
    ],
)
def test_only_auto_is_replaced_by_what_the_gate_has_counted(given: dict[str, str], fixed: tuple[str, str]) -> None:
    counted = ResourceRequirements(**given).fixed(Resources(cpu_milli=730, memory_bytes=2**30))

    assert (counted.cpu_request, counted.memory_request) == fixed


@pytest.mark.parametrize("field", ["cpu_milli", "memory_bytes", "ephemeral_bytes", "gpu"])
def test_a_run_fits_only_where_every_amount_fits(field: str) -> None:
    one = Resources(cpu_milli=1, memory_bytes=1, ephemeral_bytes=1, gpu=1)
    free = Resources(**{"cpu_milli": 1, "memory_bytes": 1, "ephemeral_bytes": 1, "gpu": 1, field: 0})

    assert one.fits(one)
    assert not one.fits(free)


def test_a_missing_memory_limit_is_none() -> None:
    assert ResourceRequirements().memory_limit_bytes() is None
    assert ResourceRequirements(memory_limit="1Ki").memory_limit_bytes() == 1024


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [(Backoff.FIXED, [10, 10, 10]), (Backoff.LINEAR, [10, 20, 30]), (Backoff.EXPONENTIAL, [10, 20, 40])],
)
def test_the_delay_grows_as_the_strategy_says(strategy: Backoff, delays: list[int]) -> None:
    policy = RetryPolicy(max_retries=3, backoff_seconds=10, backoff_strategy=strategy)

    assert [policy.delay(retry) for retry in (1, 2, 3)] == [timedelta(seconds=seconds) for seconds in delays]


def test_no_delay_is_longer_than_an_hour() -> None:
    assert RetryPolicy(max_retries=10, backoff_seconds=3600).delay(10) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("verdict", "condition"),
    [
        (FAILED, RetryCondition.TESTS_FAILED),
        (LATE, RetryCondition.TIMEOUT),
        (Verdict(status=Status.FAILED, reason=Reason.NO_TESTS), RetryCondition.NO_TESTS),
        (Verdict(status=Status.FAILED, reason=Reason.OOM_KILLED), RetryCondition.OOM_KILLED),
    ],
)
def test_only_failures_of_the_retry_conditions_are_retried(verdict: Verdict, condition: RetryCondition) -> None:
    named = RetryPolicy(max_retries=1, retry_conditions=(condition,))
    others = RetryPolicy(max_retries=1, retry_conditions=tuple(c for c in RetryCondition if c is not condition))

    assert named.should_retry(verdict, 0)
    assert not named.should_retry(verdict, 1)
    assert not others.should_retry(verdict, 0)


@pytest.mark.parametrize(
    "verdict",
    [PASSED, Verdict(status=Status.CANCELLED), Verdict(status=Status.FAILED, reason=Reason.CONFIG)],
    ids=["passed", "cancelled", "config"],
)
def test_other_verdicts_are_never_retried(verdict: Verdict) -> None:
    assert not RetryPolicy(max_retries=9, retry_conditions=tuple(RetryCondition)).should_retry(verdict, 0)


def test_no_transition_leaves_a_terminal_status() -> None:
    assert not [step for step in TRANSITIONS if step[0].terminal]
    assert set(PHASES) == set(Status)


@pytest.mark.parametrize(("status", "reason"), [(Status.RUNNING, None), (Status.FAILED, None), (Status.TIMEOUT, "x")])
def test_a_verdict_is_terminal_and_only_a_failure_has_a_reason(status: Status, reason: str | None) -> None:
    with pytest.raises(ValueError, match=r"terminal|reason"):
        Verdict(status=status, reason=Reason.TESTS_FAILED if reason else None)


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (Status.COMPLETED, None, 0),
        (Status.FAILED, Reason.TESTS_FAILED, 1),
        (Status.FAILED, Reason.TOOL_FAILED, 1),
        (Status.FAILED, Reason.OOM_KILLED, 1),
        (Status.FAILED, Reason.REPORT_MISMATCH, 1),
        (Status.CANCELLED, None, 2),
        (Status.FAILED, Reason.NO_TESTS, 5),
        (Status.TIMEOUT, None, 124),
    ]
    + [(Status.FAILED, reason, 3) for reason in (Reason.EVICTED, Reason.NODE_LOST, Reason.INFRASTRUCTURE)]
    + [
        (Status.FAILED, reason, 4)
        for reason in (
            Reason.CONFIG,
            Reason.CONTENT,
            Reason.START_ERROR,
            Reason.IMAGE_PULL,
            Reason.UNSCHEDULABLE,
        )
    ],
)
def test_the_table_of_exit_codes(status: Status, reason: Reason | None, code: int) -> None:
    """The table is D6 of the design."""
    assert exit_code(status, reason) == code


def test_the_worst_verdict_says_least_about_the_system_under_test() -> None:
    lost = Verdict(status=Status.FAILED, reason=Reason.INFRASTRUCTURE)

    assert worst([PASSED, FAILED, LATE, PASSED]) is LATE
    assert worst([FAILED, lost, LATE]) is lost
    assert worst([MISCONFIGURED, lost, FAILED]) is MISCONFIGURED
    with pytest.raises(ValueError, match="no verdicts"):
        worst([])


def test_identifiers_sort_by_time_and_are_unique_within_a_millisecond() -> None:
    random = Random(1)

    earlier, same, later = uuid7(NOON, random), uuid7(NOON, random), uuid7(NOON + timedelta(milliseconds=1), random)

    assert earlier.version == 7
    assert earlier != same
    assert max(earlier, same) < later
    assert short(later) == later.hex[-8:]


def test_progress_counts_planned_tests() -> None:
    counts = summarise([Result(name="a", outcome=Outcome.PASSED), Result(name="b", outcome=Outcome.SKIPPED)], planned=8)

    assert (counts.total, counts.completed, counts.percent) == (8, 2, 25)
    assert summarise([]).percent == 0


def test_references_to_secrets_are_found_and_filled() -> None:
    text = "Bearer ${secrets.api_key}, ${secrets.b2}"

    assert names([text, "none"]) == {"api_key", "b2"}
    assert fill(text, {"api_key": "k${secrets.b2}", "b2": "x"}) == "Bearer k${secrets.b2}, x"
    with pytest.raises(KeyError):
        fill(text, {})


@pytest.mark.parametrize(
    "text", ["$secrets", "${SECRETS_DIR}", "${secretary.x}", "{secrets.x}", "${HOME}", "secrets.a"]
)
def test_text_that_is_not_meant_as_a_reference_is_accepted(text: str) -> None:
    assert well_formed(text) == text


def test_aliases_of_aliases_have_a_limit() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]

    refuse_too_large(read_yaml("\n".join(lines[:3])))
    for text in ("\n".join(lines), "a: &a [*a]"):
        with pytest.raises(InvalidError, match="1,000,000 values with its aliases"):
            refuse_too_large(read_yaml(text))


def test_yaml_keeps_dates_as_text() -> None:
    assert read_yaml("createdAt: 2026-11-23T12:00:00+00:00\nday: 2026-11-23") == {
        "createdAt": "2026-11-23T12:00:00+00:00",
        "day": "2026-11-23",
    }


def test_yaml_may_merge_mappings() -> None:
    assert read_yaml("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}") == {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' appears twice"),
        ("a: [", "is not valid YAML in line"),
        ("a: !!python/object:os.system {}", "is not valid YAML"),
        ("a: 1\n--- \nb: 2", "is not valid YAML"),
        ("? [a]\n: 1", "is not valid YAML"),
        ("a: \x07", "is not valid YAML"),
        ("[" * 700, "nested too deeply"),
        ("a" * (8 * 2**20 + 1), "longer than 8 MiB"),
    ],
    ids=["twice", "open", "python", "two documents", "list as key", "control", "deep", "long"],
)
def test_invalid_yaml_is_a_problem_not_a_crash(text: str, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read_yaml(text)

    assert message in caught.value.problems[0].message


def test_paths_quote_keys_that_are_not_words() -> None:
    assert dotted(("content", "files", "a/b.py")) == 'content.files["a/b.py"]'
    assert dotted((0, "env", "A-B")) == "[0].env.A-B"


def test_paths_cut_keys_that_are_too_long_to_read() -> None:
    assert dotted(("env", "k" * 80)) == f"env.{'k' * 80}"
    assert dotted(("env", "k" * 99)) == f'env["{"k" * 80}..."]'
    assert len(dotted(("/" * 999,))) < 100


def test_an_invalid_error_lists_its_problems_once_in_order_of_path() -> None:
    late, early = Problem(path="b", message="is required"), Problem(path="", message="is empty")

    error = InvalidError([late, early, late])

    assert error.problems == (early, late)
    assert str(error) == "(whole): is empty; b: is required"
    assert [problem.path for problem in error.under("test").problems] == ["test", "test.b"]


def test_an_invalid_error_without_problems_is_empty() -> None:
    error = InvalidError([*InvalidError([]).problems])

    assert str(error) == ""
    assert error.under("test").problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/company/tests.git",
        "https://git.example.com:8443/a/b",
        "https://gitserver/a.git",
        "https://[2001:db8::1]/a.git",
        "https://192.0.2.1/a.git",
        "https://example.com./a.git",
    ],
)
def test_repositories_on_any_valid_host_are_accepted(text: str) -> None:
    """The clone decides by `allowed_hosts` whether a host may be reached."""
    assert repository(text) == text
