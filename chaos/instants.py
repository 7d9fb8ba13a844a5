"""Points in time, as a file writes them."""

from datetime import datetime


def instant(text: str) -> str:
    """Accept a date and time with its zone, as RFC 3339 writes it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date and time such as 2027-01-31T09:00:00+01:00") from None
    if moment.tzinfo is None:
        raise ValueError("must name its zone: end it with Z or an offset such as +01:00")
    return text
