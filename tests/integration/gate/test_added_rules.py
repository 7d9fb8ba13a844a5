"""A registered rule in the gate on PostgreSQL: whom it refuses waits with its words, until it lets it start."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from harness.gate_rules import Freeze

from scheduler.admission import rules
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code

HOUR = timedelta(hours=1)


@pytest.fixture
def frozen(gate_db: Any, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Register a freeze of priorities 2 to 9, and return its end. It began an hour ago by the database's clock."""
    now: datetime = gate_db.sql("SELECT clock_timestamp() AS now")[0].now
    monkeypatch.setattr(rules, "RULES", (Freeze(begins=now - HOUR, ends=now + HOUR),))
    return now + HOUR


def test_a_refused_run_waits_with_the_words_of_the_rule(gate_db: Any, frozen: datetime) -> None:
    [refused], [urgent] = gate_db.submit(priority=5), gate_db.submit(priority=1)

    assert gate_db.admitted() == [urgent]
    told = gate_db.said(refused)[-1]
    assert (told.code, told.text) == (Code.RULE, f"runs of priority 2 to 9 are frozen until {frozen:%H:%M} UTC")
    assert gate_db.row(refused).reason == told.text
    assert gate_db.position(refused) is not None


def test_it_starts_once_the_rule_lets_it(gate_db: Any, frozen: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    [run] = gate_db.submit(priority=5)
    before = gate_db.admitted()
    monkeypatch.setattr(rules, "RULES", (Freeze(begins=frozen - HOUR, ends=frozen - HOUR),))

    assert before == []
    assert gate_db.admitted() == [run]


def test_many_that_are_refused_do_not_hide_later_ones(gate_db: Any, frozen: datetime, few_rows: None) -> None:
    """A pass reads a few rows of each shape. Under FIFO the refused runs come first in the order."""
    gate_db.pool(strategy=Strategy.FIFO)
    refused = gate_db.submit(30, priority=2)
    late = gate_db.submit(3, priority=1)

    assert sorted(gate_db.admitted()) == sorted(late)
    assert {gate_db.row(run).state for run in refused} == {"waiting"}
