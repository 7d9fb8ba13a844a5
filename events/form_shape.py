"""What else is wrong with a written test whose shape is wrong: its other parts are checked without the wrong ones."""

import re
from collections.abc import Collection, Mapping

from model.problems import Location, Problem

_STAND_INS: Mapping[object, object] = {"name": "x", "topics": ["x"], "assertions": [{"expect": "*"}]}
"""What takes the place of a part that every test has."""
_RESTS_ON: Mapping[str, tuple[str, ...]] = {
    "allowedHosts": ("trigger", "registry"),
    "trigger": ("scope",),
    "timeoutMs": ("chaos", ".timeoutMs"),
    "graceMs": (".timeoutMs",),
    "topics": (".topic", ".deadLetter"),
    "registry": (".registered",),
}
"""Parts, and the starts or ends of the paths of problems that may only follow from theirs."""


def without(raw: Mapping[object, object], wrong: Collection[Location]) -> dict[object, object]:
    """Return a test with stand-ins for what stands at the wrong places: whole parts, or single assertions."""
    kept = dict(raw)
    entries = {place[1] for place in wrong if place[:1] == ("assertions",) and len(place) > 1}
    if entries and isinstance(listed := raw.get("assertions"), list):
        kept["assertions"] = [{"expect": "*"} if at in entries else one for at, one in enumerate(listed)]
    for place in wrong:
        if place and (place[0] != "assertions" or len(place) == 1):
            kept.pop(place[0], None)
    return {**_STAND_INS, **kept}


def independent(problems: Collection[Problem], wrong: Collection[Location]) -> list[Problem]:
    """Return the problems that do not only follow from what stands at the wrong places."""
    parts = {str(place[0]) for place in wrong if place}
    spoiled = {*(parts - {"assertions"}), *(one for part in parts for one in _RESTS_ON.get(part, ()))}
    return [problem for problem in problems if not any(_is_at(problem.path, one) for one in spoiled)]


def _is_at(path: str, place: str) -> bool:
    return path.endswith(place) if place.startswith(".") else re.split(r"[.\[]", path, maxsplit=1)[0] == place
