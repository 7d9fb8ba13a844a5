"""Paths, modes and their entries."""

import re

import pytest

from model.claims import (
    UNKNOWN,
    Claim,
    ClaimMode,
    conflict,
    conflicting,
    entries_of,
    exclusively,
    in_words,
    is_exclusive,
)
from model.fields import RESOURCE_PATTERN

SHARED = ClaimMode.SHARED
NAMESPACE = "k8s/lab/shop"
SERVICE = f"{NAMESPACE}/orders"


@pytest.mark.parametrize(
    ("first", "second", "conflicting"),
    [
        (Claim(path=SERVICE), Claim(path=SERVICE), True),
        (Claim(path=SERVICE), Claim(path=NAMESPACE), True),
        (Claim(path=SERVICE), Claim(path=NAMESPACE, mode=SHARED), True),
        (Claim(path=SERVICE, mode=SHARED), Claim(path=NAMESPACE), True),
        (Claim(path=SERVICE, mode=SHARED), Claim(path=NAMESPACE, mode=SHARED), False),
        (Claim(path=SERVICE), Claim(path=f"{NAMESPACE}/payments"), False),
        (Claim(path=SERVICE), Claim(path=f"{SERVICE}-2"), False),
        (Claim(path=SERVICE), Claim(path="k8s/other/shop/orders"), False),
    ],
)
def test_a_parent_conflicts_with_its_children_unless_both_share(
    first: Claim, second: Claim, *, conflicting: bool
) -> None:
    assert conflict(first, second) == conflict(second, first) == conflicting


def test_a_name_without_parents_is_its_own_entry() -> None:
    assert exclusively(["staging-database"]) == ("staging-database",)


def test_parents_have_an_intention() -> None:
    assert entries_of([Claim(path=SERVICE), Claim(path="local/shop", mode=SHARED)]) == (
        "k8s#ix",
        "k8s/lab#ix",
        "k8s/lab/shop#ix",
        "k8s/lab/shop/orders",
        "local#is",
        "local/shop#s",
    )


def test_an_entry_knows_for_which_mode_it_is() -> None:
    assert [is_exclusive(one) for one in ("k8s#ix", "k8s/lab#is", "local/shop#s", "db")] == [True, False, False, True]


def test_entries_are_told_to_people_by_their_path() -> None:
    assert [in_words(one) for one in ("k8s/lab#is", "db")] == ["k8s/lab", "db"]


def test_tests_of_unknown_use_share_a_path_that_no_request_can_name() -> None:
    """Experiments of other teams claim a child of it: they wait for the tests and not for each other."""
    test = entries_of([Claim(path=f"{UNKNOWN}/red", mode=SHARED)])
    experiment, other = (exclusively([f"{UNKNOWN}/red/{run}"]) for run in ("1", "2"))

    assert test == (".unknown/red#s",)
    assert not set(test).isdisjoint(conflicting(".unknown/red#ix"))
    assert all(set(other).isdisjoint(conflicting(entry)) for entry in experiment)
    assert "config.uses" in in_words(test[0])
    assert re.fullmatch(RESOURCE_PATTERN, UNKNOWN) is None
