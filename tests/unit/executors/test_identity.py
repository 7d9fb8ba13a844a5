"""Names and identities of results: told by what the report says of the test, not by what else was run."""

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors import identity
from executors.identity import Named, Reported
from model.result import ResultIdentity


def shown(*reported: Reported) -> list[str]:
    return [named.shown for named in identity.from_junit(reported)]


def playwright(project: str, name: str = "adds", **more: str) -> Reported:
    return Reported(name=name, classname="cart.spec.ts", suites=("cart.spec.ts",), host=project, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("project", ["chromium", "webkit", "Mobile Safari", "signed in", "api"])
def test_a_project_of_playwright_is_told_also_when_it_runs_alone(project: str) -> None:
    both = identity.from_junit([playwright("firefox"), playwright(project)])

    assert identity.from_junit([playwright(project)]) == both[1:]
    assert both[1].shown == f"cart.spec.ts::adds [{project}]"
    assert both[1].identity.project == project


@pytest.mark.parametrize("host", ["ip-10-0-0-1", "runner-7f9c", "localhost", ""])
def test_the_name_of_a_machine_is_no_part_of_a_test(host: str) -> None:
    found = identity.from_junit([Reported(name="test_a", classname="tests.test_a", suites=("pytest",), host=host)])

    assert found[0].shown == "tests.test_a::test_a"
    assert found[0].identity.project == ""


def test_vitest_writes_the_machine_where_playwright_writes_the_project() -> None:
    assert shown(playwright("agent-12", root="vitest tests")) == ["cart.spec.ts::adds"]
    assert shown(playwright(os.uname().nodename)) == ["cart.spec.ts::adds"]


@pytest.mark.parametrize(
    "suites",
    [
        ("webkit", "cart"), ("Mobile Safari", "cart"), ("windows-2022", "cart"), ("py3.11", "cart"),
        ("shop", "iPhone 15", "cart"),
    ],
)  # fmt: skip
def test_suites_around_it_that_are_named_like_a_platform_are_told_also_when_they_run_alone(
    suites: tuple[str, ...],
) -> None:
    other = Reported(name="adds", classname="cart", suites=("chromium", "cart"))
    one = Reported(name="adds", classname="cart", suites=suites)

    alone = identity.from_junit([one])

    assert identity.from_junit([other, one])[1:] == alone
    assert alone[0].identity.project in suites


def test_suites_of_any_name_tell_two_results_apart() -> None:
    one, other = (Reported(name="Status is 201", classname="Api", suites=(name,)) for name in ("create", "remove"))

    assert shown(one, other) == ["Api::Status is 201 [create]", "Api::Status is 201 [remove]"]
    assert [named.identity.suite for named in identity.from_junit([one, other])] == ["create", "remove"]


def test_an_identity_does_not_change_when_a_suite_has_to_be_shown() -> None:
    one, other = (Reported(name="adds", classname="cart", suites=(name,)) for name in ("shop", "depot"))

    assert identity.from_junit([one])[0].identity == identity.from_junit([one, other])[0].identity


@pytest.mark.parametrize("told", ["host", "file", "report", "root"])
def test_what_else_the_report_says_is_asked_before_a_number(told: str) -> None:
    one, other = (Reported(name="adds", **{told: value}) for value in ("left", "right"))

    assert shown(one, other) == ["adds [left]", "adds [right]"]


def test_a_number_is_the_last_resort() -> None:
    same = Reported(name="a", classname="C", suites=("C",), host="h", file="f", report="r")

    assert shown(same, same, same) == ["C::a", "C::a #2", "C::a #3"]
    assert [named.identity.index for named in identity.from_junit([same, same])] == [1, 2]


def test_a_name_that_looks_like_a_numbered_one_stays_apart_from_it() -> None:
    assert len(set(shown(*(Reported(name=name) for name in ("a", "a", "a #2", "a #2"))))) == 4


def test_times_and_folders_of_a_run_are_no_part_of_a_suite() -> None:
    stamped = Reported(name="a", classname="T", suites=("tests.T-20261123100000",))
    folder = Reported(name="a", classname="T", suites=("/state/runs/17/work/phpunit.xml", "T"))

    assert [named.identity.suite for named in identity.from_junit([stamped])] == ["tests.T"]
    assert [named.identity.suite for named in identity.from_junit([folder])] == ["T"]


@pytest.mark.parametrize(
    ("node_id", "expected"),
    [
        ("tests/test_a.py::test_x", ResultIdentity(suite="tests/test_a.py", name="test_x")),
        ("t.py::B::test_c[a::b]", ResultIdentity(suite="t.py", classname="B", name="test_c", parameters="a::b")),
        ("t.py::TestA::TestB::test_c", ResultIdentity(suite="t.py", classname="TestA::TestB", name="test_c")),
        ("web.cases::login", ResultIdentity(suite="web.cases", name="login")),
        ("test_module.py", ResultIdentity(suite="test_module.py", name="test_module.py")),
        ("t.py::test_c[a]b]", ResultIdentity(suite="t.py", name="test_c", parameters="a]b")),
        ("t.py::odd[name", ResultIdentity(suite="t.py", name="odd[name")),
        ("a[1]/test_a.py::test_x", ResultIdentity(suite="a[1]/test_a.py", name="test_x")),
        ("t.py::[doctest] module", ResultIdentity(suite="t.py", name="[doctest] module")),
    ],
)  # fmt: skip
def test_a_node_id_of_pytest_is_told_in_its_parts(node_id: str, expected: ResultIdentity) -> None:
    assert identity.from_pytest([node_id]) == [Named(shown=node_id, identity=expected)]


def test_items_of_one_node_id_are_numbered() -> None:
    names = identity.from_pytest(["a::x", "a::y", "a::x"])

    assert [named.shown for named in names] == ["a::x", "a::y", "a::x #2"]


NAMES = st.text(alphabet="ab[] /#2é\x00", max_size=4)
REPORTED = st.builds(
    Reported,
    name=NAMES,
    classname=NAMES,
    suites=st.lists(st.sampled_from(["s", "t", "chromium", "Root Suite", "/x/y"]), max_size=2).map(tuple),
    host=st.sampled_from(["", "webkit", "agent"]),
)


@given(st.lists(REPORTED, max_size=12))
def test_all_names_of_a_report_are_different_and_fit_their_column(reported: list[Reported]) -> None:
    names = shown(*reported)

    assert len(set(names)) == len(reported)
    assert all(0 < len(name) <= 500 for name in names)


@given(st.lists(REPORTED, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_different_results_changes_no_identity(reported: list[Reported], order: random.Random) -> None:
    """Only what is equal in all that a report says is numbered by its place."""
    shuffled = order.sample(reported, len(reported))

    before = {one: named.identity for one, named in zip(reported, identity.from_junit(reported), strict=True)}
    after = {one: named.identity for one, named in zip(shuffled, identity.from_junit(shuffled), strict=True)}
    assert {one: i for one, i in before.items() if i.index == 1 and after[one].index == 1} == {
        one: i for one, i in after.items() if i.index == 1 and before[one].index == 1
    }
