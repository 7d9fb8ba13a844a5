"""For how long a backend has had no live worker: by observed time only, told by a virtual clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.values.absence import LONGEST_GAP, Absence, Look, observe

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVER = NOON - timedelta(days=1)
TICK = timedelta(seconds=2)


def look(after: timedelta, server: datetime = SERVER) -> Look:
    return Look(at=NOON + after, server_started_at=server)


def looked(*looks: Look) -> Absence:
    """Return what is known after these looks."""
    known: Absence | None = None
    for one in looks:
        known = observe(known, one)
    assert known is not None
    return known


def test_the_first_look_counts_nothing() -> None:
    assert looked(look(timedelta())).counted == timedelta()


def test_time_between_close_looks_counts() -> None:
    found = looked(*(look(TICK * number) for number in range(11)))

    assert (found.counted, found.since) == (TICK * 10, NOON)


@pytest.mark.parametrize("leap", [timedelta(hours=8), timedelta(hours=-8), LONGEST_GAP + TICK])
def test_after_a_sleep_or_a_leap_of_the_clock_the_count_starts_anew(leap: timedelta) -> None:
    before = [look(TICK * number) for number in range(5)]

    assert looked(*before, look(TICK * 4 + leap)).counted == timedelta()
    assert looked(*before, look(TICK * 4 + leap), look(TICK * 5 + leap)).counted == TICK


def test_after_a_restart_of_the_database_server_the_count_starts_anew() -> None:
    restarted = NOON + TICK

    found = looked(look(timedelta()), look(TICK), look(TICK * 2, restarted), look(TICK * 3, restarted))

    assert (found.counted, found.since) == (TICK, NOON)


def test_a_look_of_another_worker_that_was_a_little_earlier_changes_nothing() -> None:
    found = looked(look(timedelta()), look(TICK))

    assert observe(found, look(TICK / 2)) == found


@given(st.lists(st.timedeltas(timedelta(hours=-1), timedelta(hours=1)), min_size=1, max_size=20))
def test_no_more_is_counted_than_has_passed_between_close_looks(moves: list[timedelta]) -> None:
    """Whatever the clock does, a count never grows by more than the longest gap at one look."""
    at, known = timedelta(), observe(None, look(timedelta()))
    for move in moves:
        at += move
        after = observe(known, look(at))
        assert after.counted <= known.counted + LONGEST_GAP
        assert after.counted == timedelta() or after.counted >= known.counted
        known = after
