"""Schedules: when a suite is run by itself."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from model.cron import cron_expression
from model.fields import FORBID
from model.timezones import timezone_name

LONGEST_INTERVAL = 31_536_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a suite is run: a cron expression in a time zone, or an interval in seconds. Exactly one of both is set."""

    __pydantic_config__ = FORBID

    cron: Annotated[
        Annotated[str, Field(max_length=200), AfterValidator(cron_expression)] | None,
        Field(description="Five fields, minute hour day month weekday, or @hourly, @daily, @weekly, @monthly, @yearly"),
    ] = None
    interval: Annotated[
        int | None,
        Field(ge=1, le=LONGEST_INTERVAL, description="Seconds, counted from midnight of 1 January 2024 in the zone"),
    ] = None
    timezone: Annotated[
        str,
        Field(min_length=1, max_length=100, description="A name of the IANA list"),
        AfterValidator(timezone_name),
    ] = "UTC"
