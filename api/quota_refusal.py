"""The response to a submit beyond a daily quota: 429 with Retry-After."""

from datetime import UTC, datetime, time, timedelta

from fastapi.responses import JSONResponse

from api.problems import problem
from orchestrator.submit import OverQuota


def over_quota(over: OverQuota, now: datetime) -> JSONResponse:
    """Return the response. The quota is free again at midnight UTC."""
    seconds = max(1, int((next_midnight(now) - now).total_seconds()) + 1)
    return problem(429, str(over), headers={"Retry-After": str(seconds)})


def next_midnight(now: datetime) -> datetime:
    """Return the end of the current day in UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(0), UTC)
