"""Over the daily quota: 429, and when it makes sense to ask again."""

from datetime import UTC, datetime, time, timedelta

from fastapi.responses import JSONResponse

from api.problems import problem
from orchestrator.submit import OverQuota


def over_quota(over: OverQuota, now: datetime) -> JSONResponse:
    """Return the refusal; the day of the quota ends at midnight UTC."""
    seconds = max(1, int((next_midnight(now) - now).total_seconds()) + 1)
    return problem(429, str(over), headers={"Retry-After": str(seconds)})


def next_midnight(now: datetime) -> datetime:
    """Return when the running day ends, in UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(0), UTC)
