"""What the rules of a team allow: who, what, where and when; approvals by a second person, and what they name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaos.approval import Approval, ApprovalState, Wants, experiment_digest, reason_against
from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.permission import Attempt, Permission, may_approve, permission
from chaos.team_rules import TeamRules, check_team_rules, team_rules_to_raw

MONDAY = datetime(2027, 1, 4, 12, tzinfo=UTC)


def experiment(**changes: Any) -> Experiment:
    raw = {
        "name": "x",
        "fault": {"type": "pod-kill"},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {"slo": {"name": "orders", "kind": "ratio", "source": "load", "objective": 99.9}},
        "load": {"url": "http://127.0.0.1:1/orders"},
        "durationSeconds": 60,
        "haltConditions": [{"slo": "orders", "above": 90}],
    }
    return check_experiment(raw | changes)


def asked(rules: dict[str, Any], at: datetime = MONDAY, **more: Any) -> Permission:
    wanted = {"team": "shop", "user": "anna", "experiment": experiment(), "paths": ("local/shop/payments",)}
    attempt = Attempt(**(wanted | {"at": at, "needs": timedelta(seconds=120)} | more))
    return permission(check_team_rules(rules), attempt)


def rule(**parts: Any) -> dict[str, Any]:
    return {"rules": [{"name": "r", "effect": "refuse", **parts}]}


@pytest.mark.parametrize(
    ("parts", "matches"),
    [
        ({}, True),
        ({"who": ["anna"]}, True),
        ({"who": ["ben"]}, False),
        ({"faults": ["pod-kill", "cpu-stress"]}, True),
        ({"faults": ["cpu-stress"]}, False),
        ({"where": ["local"]}, True),
        ({"where": ["local/shop/payments"]}, True),
        ({"where": ["local/shop/orders"]}, False),
        ({"where": ["local/sho"]}, False),
        ({"where": ["k8s/prod"]}, False),
        ({"when": [{"days": ["mon"], "start": "11:00", "end": "13:00"}]}, True),
        ({"when": [{"days": ["tue"]}]}, False),
        ({"who": ["anna"], "faults": ["cpu-stress"]}, False),
    ],
)
def test_a_rule_holds_where_all_of_its_parts_match(parts: dict[str, Any], matches: bool) -> None:  # noqa: FBT001
    assert bool(asked(rule(**parts)).refusals) is matches


def test_a_place_matches_what_is_known_to_be_around_it_only() -> None:
    """Targets that were not looked at yet may be any of the namespace, so a rule about one of them counts."""
    assert asked(rule(where=["k8s/lab/shop/payments"]), paths=("k8s/lab/shop",)).refusals


def test_a_refusal_says_what_matched_and_who_changes_rules() -> None:
    monday = {"days": ["mon"], "start": "11:00", "end": "13:00"}

    [said] = asked(rule(who=["anna"], faults=["pod-kill"], where=["local/shop"], when=[monday])).refusals

    assert said == (
        "the rule 'r' of the team shop refuses it (who: anna; faults: pod-kill; where: local/shop; when: mon 11:00 to "
        "13:00 UTC); who has the key of the installation changes rules (`assay team chaos-rules shop`)"
    )


def test_all_refusals_are_told_at_once() -> None:
    rules = rule() | {"maxBudgetPercent": 0.1, "windows": [{"days": ["tue"]}]}

    said = " | ".join(asked(rules).refusals)

    assert "costs up to 4.63% of the error budget of orders (30 days), and the team shop allows 0.1%" in said
    assert "the rule 'r' of the team shop refuses it (it is about every experiment)" in said
    assert "the next window begins at 2027-01-05 00:00 UTC" in said


@pytest.mark.parametrize(
    ("budget", "percent"),
    [
        ({"trafficFactor": 0.001}, "4.63%"),
        ({"windowDays": 366}, "4.63%"),
        ({"windowDays": 15}, "9.26%"),
        ({"trafficFactor": 2}, "9.26%"),
    ],
)
def test_the_limit_of_a_team_counts_what_the_file_says_only_where_it_makes_it_dearer(
    budget: dict[str, Any], percent: str
) -> None:
    dear = experiment(errorBudget={"maxPercent": 100} | budget)

    [said] = asked({"maxBudgetPercent": 4}, experiment=dear).refusals

    assert f"costs up to {percent} of the error budget of orders" in said


def test_outside_of_the_windows_it_is_held_if_the_team_says_so() -> None:
    rules = {"windows": [{"days": ["tue"], "start": "09:00", "end": "10:00"}], "outside": "hold"}

    found = asked(rules)
    never = asked(rules, needs=timedelta(hours=2))
    within = asked(rules, at=MONDAY + timedelta(hours=21, minutes=30))

    assert (found.refusals, found.opens) == ((), datetime(2027, 1, 5, 9, tzinfo=UTC))
    assert "runs no experiments of 120 s now" in found.why_later
    assert "no window of the next 400 days is long enough" in never.refusals[0]
    assert (within.why_later, within.closes) == ("", datetime(2027, 1, 5, 10, tzinfo=UTC))


def test_a_rule_about_a_time_counts_when_it_would_begin() -> None:
    rules = {
        "windows": [{"days": ["tue"]}],
        "outside": "hold",
        "rules": [{"name": "tuesdays", "effect": "approve", "when": [{"days": ["tue"]}]}],
    }

    assert [one.name for one in asked(rules).asks] == ["tuesdays"]


def test_without_rules_everything_is_allowed_at_any_time() -> None:
    found = asked({})

    assert (found.refusals, found.asks, found.opens, found.closes) == ((), (), MONDAY, None)


def test_who_submits_never_approves_and_all_rules_must_accept_the_person() -> None:
    team, named = check_team_rules(
        {
            "rules": [
                {"name": "team", "effect": "approve"},
                {"name": "named", "effect": "approve", "approvers": ["ben", "anna"]},
            ]
        }
    ).rules

    assert may_approve([team], "ben", "anna", of_team=True)
    assert not may_approve([team], "ben", "anna", of_team=False)
    assert may_approve([named], "ben", "anna", of_team=False)
    assert not may_approve([named], "anna", "anna", of_team=True)
    assert not may_approve([team, named], "ben", "anna", of_team=False)
    assert not may_approve([team, named], "cora", "anna", of_team=True)


def test_the_digest_is_that_of_all_that_is_done() -> None:
    known = experiment_digest(experiment())

    assert known == experiment_digest(experiment())
    assert known != experiment_digest(experiment(durationSeconds=61))
    assert known != experiment_digest(experiment(), "sha256:1") != experiment_digest(experiment(), "sha256:2")
    assert known != experiment_digest(experiment(target={"environment": "shop", "service": "orders"}))
    assert known.startswith("sha256:")


APPROVED = Approval(
    rules=("production",),
    digest="sha256:1",
    state=ApprovalState.APPROVED,
    expires_at=MONDAY + timedelta(hours=1),
    by="ben",
    decided_at=MONDAY,
)


@pytest.mark.parametrize(
    ("approval", "asks", "said"),
    [
        (None, (), None),
        (None, ("production",), "was not asked when it was submitted"),
        (APPROVED, ("production",), None),
        (APPROVED, ("production", "freeze"), "before the team had the rules freeze"),
        (replace(APPROVED, by="cora"), ("production",), "cora approved it, and may not by the rules and teams of now"),
        (replace(APPROVED, digest="sha256:2"), ("production",), "ben approved another experiment"),
        (replace(APPROVED, expires_at=MONDAY), ("production",), "expired at 2027-01-04 12:00 UTC"),
        (replace(APPROVED, state=ApprovalState.WAITING), ("production",), "nobody approved it until"),
        (replace(APPROVED, state=ApprovalState.DENIED, comment="no"), ("production",), "ben denied it: no"),
    ],
)
def test_only_a_fresh_approval_of_exactly_this_by_all_rules_counts(
    approval: Approval | None, asks: tuple[str, ...], said: str | None
) -> None:
    found = reason_against(approval, Wants(rules=asks, approvers=("ben",), digest="sha256:1"), MONDAY)

    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_rules_are_written_as_they_are_read() -> None:
    rules = check_team_rules(rule(who=["anna"], when=[{"days": ["mon"]}]) | {"outside": "hold", "maxBudgetPercent": 2})

    assert check_team_rules(team_rules_to_raw(rules)) == rules
    assert check_team_rules({}) == TeamRules()
