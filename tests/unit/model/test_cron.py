"""Tests of cron expressions: what is accepted, which days it names, and its plainest form."""

from datetime import date

import pytest

from model.cron import ALIASES, cron_expression, parse_cron


@pytest.mark.parametrize(
    "text",
    ["* * * * *", "*/5 0-6,22 1 JAN-mar mon", "0 6 * * 7", "1-9/2 * * * *", *ALIASES, "@Daily", "0 0 29 2 *"],
)
def test_cron_expressions_are_accepted_and_kept(text: str) -> None:
    assert cron_expression(text) == text


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("*/0 * * * *", "minute"),
        ("*/90 * * * *", "minute"),
        ("9-5 * * * *", "minute"),
        ("1, * * * *", "minute"),
        ("@reboot", "five fields.*@daily"),
        ("\N{SUPERSCRIPT TWO} * * * *", "minute"),
    ],
)
def test_wrong_cron_expressions_name_the_field(text: str, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        cron_expression(text)


@pytest.mark.parametrize("days", ["30 2", "31 4", "31 2,4,6,9,11", "30,31 feb"])
def test_an_expression_that_no_day_fulfils_is_refused(days: str) -> None:
    with pytest.raises(ValueError, match="never fires"):
        cron_expression(f"0 0 {days} *")


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 31 1,2 *", "0 0 30 2 1"])
def test_a_rare_day_is_right(text: str) -> None:
    """30 February or a Monday in February: one of both restrictions suffices."""
    assert parse_cron(text).fires()


def test_restricted_days_of_the_month_and_of_the_week_suffice_each() -> None:
    either, month_only = parse_cron("0 0 13 * fri"), parse_cron("0 0 13 * 0-6")

    november = [date(2026, 11, day) for day in range(1, 15)]
    assert [day.day for day in november if either.names(day)] == [6, 13]
    assert [day.day for day in november if month_only.names(day)] == [13]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0 2 * * *", "0 2 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("*/15 * * * *", "*/15 * * * *"),
        ("8-8 * * * *", "8 * * * *"),
        ("0 0 1-5,* * 7", "0 0 * * 0"),
        ("30 6-9,22 * jan-mar mon-fri", "30 6-9,22 * 1-3 1-5"),
        ("5/20 * * * */2", "5,25,45 * * * */2"),
        ("0 0 16 * */1", "0 0 16 * *"),
        ("0 0 30 2 1", "0 0 * 2 1"),
    ],
)
def test_the_plainest_form_means_the_same(text: str, plain: str) -> None:
    assert parse_cron(text).text() == plain


@pytest.mark.parametrize(
    ("text", "every_hour"),
    [
        ("*/5 * * * *", True),
        ("0 0-22 * * *", False),
        ("0 * 2-31 * *", False),
        ("0 * * 2 *", False),
        ("0 * * * 1", False),
    ],
)
def test_an_expression_names_every_hour_if_only_the_minutes_are_restricted(text: str, *, every_hour: bool) -> None:
    assert parse_cron(text).names_every_hour is every_hour
