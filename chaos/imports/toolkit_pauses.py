"""How long a method of Chaos Toolkit waits: pauses of its activities, and activities that only sleep.

Source: chaoslib/activity.py of chaostoolkit/chaostoolkit-lib 1.45. Pauses are in seconds.
"""

from collections.abc import Sequence

from chaos.imports.collecting import Findings
from chaos.imports.quantities import number_of
from model.lenient import items, mapping, text
from model.problems import Location

SLEEPS = frozenset({("time", "sleep")})


def slept(raw: object, at: Location, findings: Findings) -> float | None:
    """Return for how many seconds an activity sleeps that does nothing else; None if it does something."""
    activity = mapping(raw)
    provider, where = mapping(activity.get("provider")), (*at, "provider", "arguments")
    if provider.get("type") == "process" and text(provider.get("path")).rpartition("/")[2] == "sleep":
        seconds: object = items(provider.get("arguments")) or provider.get("arguments")
    elif provider.get("type") == "python" and (text(provider.get("module")), text(provider.get("func"))) in SLEEPS:
        seconds = list(mapping(provider.get("arguments")).values())
    else:
        return None
    [given] = items(seconds)[:1] or [seconds]
    if activity.get("background") is True:
        findings.note("An activity that sleeps in the background is left out.")
        return 0.0
    return _seconds(given, where, findings)


def gaps(method: Sequence[object], findings: Findings) -> list[float]:
    """Return how long the method waits after each of its actions. What comes before the first one is left out."""
    found: list[float] = []
    for number, activity in enumerate(map(mapping, method)):
        at: Location = ("method", number)
        pauses = mapping(activity.get("pauses"))
        before, after = (
            _seconds(pauses[key], (*at, "pauses", key), findings) if pauses.get(key) is not None else 0.0
            for key in ("before", "after")
        )
        waits = slept(activity, at, findings)
        if found:
            found[-1] += before
        if waits is None and "ref" not in activity and activity.get("type") != "probe":
            found.append(0.0)
        if found:
            found[-1] += after + (waits or 0.0)
    return found


def _seconds(raw: object, at: Location, findings: Findings) -> float:
    seconds = number_of(raw, at, findings)
    if seconds < 0:
        findings.refuse(at, "must be 0 or more")
    return max(seconds, 0.0)
