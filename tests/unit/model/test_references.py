"""Tests of references that are read from input which is wrong elsewhere."""

import pytest

from model.references import contents_wanted, secrets_wanted

DIGEST = "a" * 64


def test_secrets_of_a_test_are_found_in_both_environments() -> None:
    raw = {"type": 5, "env": {"A": "${secrets.one}", "B": 7}, "config": {"env": {"C": "${secrets.two}${secrets.one}"}}}

    assert [(each.path, each.name) for each in secrets_wanted(raw)] == [
        ("env.A", "one"),
        ("config.env.C", "one"),
        ("config.env.C", "two"),
    ]


def test_tests_of_a_suite_have_the_secrets_of_their_defaults_too() -> None:
    raw = {"defaults": {"env": {"A": "${secrets.one}"}}, "tests": [{"env": {"B": "${secrets.two}"}}, None, {}]}

    assert [each.path for each in secrets_wanted(raw)] == [
        *("tests[0].env.A", "tests[0].env.B", "tests[1].env.A", "tests[2].env.A")
    ]


def test_only_digests_are_contents() -> None:
    contents = [
        {"type": "artifact", "sha256": DIGEST},
        {"type": "artifact", "sha256": "../etc"},
        {"sha256": DIGEST},
        [],
    ]
    raw = {"tests": [{"content": content} for content in contents]}

    assert [(each.path, each.name) for each in contents_wanted(raw)] == [("tests[0].content.sha256", DIGEST)]


@pytest.mark.parametrize("raw", [None, 3, [], "x", {"env": []}, {"tests": "x"}, {"tests": {}, "defaults": 3}])
def test_input_of_any_form_has_no_references(raw: object) -> None:
    assert secrets_wanted(raw) == contents_wanted(raw) == []
