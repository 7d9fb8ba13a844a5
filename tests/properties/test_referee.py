"""The referee notices: a pass that is wrong in one point is told so, and one that is right is not."""

from types import SimpleNamespace
from typing import Any

import pytest
from properties.referee import Referee, Ruling, Told
from properties.sight import Asked, Held, Scene, Shares

POOL, ANN, BOB, RED, BLUE = "the pool", "ann", "bob", "red", "blue"


def asked(run: str, cpu: int = 500, **given: Any) -> Asked:
    values = {"owners": (POOL, ANN, RED), "aged": False, "place": (5, ord(run)), "nodes": frozenset({"n0"})}
    return Asked(run=run, amounts=(cpu, 0, 1), **(values | given))


def scene(*waiting: Asked, **given: Any) -> Scene:
    """One node of 1,000m, unless `given` says otherwise."""
    values = {"nodes": {"n0": (1000, 0, 10)}, "holding": [], "limits": {}}
    return Scene(waiting={one.run: one for one in waiting}, **(values | given))


def ruling(*started: str, **told: str | Told) -> Ruling:
    said = {run: Told(code=what) if isinstance(what, str) else what for run, what in told.items()}
    return Ruling(admitted=[(run, "n0") for run in started], told=said)


BUSY = Held(amounts=(500, 0, 1), owners=(POOL, BOB, BLUE), node="n0")
FAIR = Shares(usage={RED: 0.1, BLUE: 0.2}, weights={RED: 1.0, BLUE: 4.0}, penalty=0.0, totals=(10, 1000, 0))
BLUES = {"owners": (POOL, BOB, BLUE)}
CASES = SimpleNamespace(
    right=[
        (scene(asked("a"), asked("b"), asked("c")), ruling("a", "b", c="busy")),
        (scene(asked("a", 900), asked("b"), holding=[BUSY]), ruling("b", a="busy")),
        (
            scene(asked("a", 900, aged=True), asked("b"), holding=[BUSY]),
            ruling(a=Told(code="busy", node="n0"), b="reserved"),
        ),
        (scene(asked("a"), asked("b", **BLUES), limits={RED: (0, None)}), ruling("b", a="team_limit")),
        (scene(asked("a", 600), asked("b", 600, **BLUES), shares=FAIR), ruling("b", a="share")),
        (scene(asked("a", 600, refused=True), asked("b", 600)), ruling("b", a="rule")),
    ],
    wrong=[
        (scene(asked("a")), ruling(a="busy")),  # there is room
        (scene(asked("a"), asked("b"), asked("c")), ruling("a", "c", b="busy")),  # b was first
        (scene(asked("a", 600), asked("b", 500)), ruling("b", a="busy")),  # so it was, though it has no room by now
        (scene(asked("a", 900), asked("b"), holding=[BUSY]), ruling("b", a="team_limit")),  # not its team
        (scene(asked("a", 900), asked("b"), holding=[BUSY]), ruling("b", a="reserved")),  # nothing is kept
        (scene(asked("a"), asked("b", place=(4, 0)), limits={POOL: (1, None)}), ruling("a", b="pool_limit")),
        (scene(asked("a"), limits={ANN: (0, None)}), ruling("a")),
        (scene(asked("a", 1500)), ruling("a")),
        (scene(asked("a", refused=True)), ruling("a")),
        (scene(asked("a", 900), holding=[BUSY]), ruling(a="rule")),  # no rule refuses it
        (scene(asked("a", names=frozenset({"db"})), taken=frozenset({"db"})), ruling("a")),
        (scene(asked("a", 300, group="g"), asked("b", 300, group="g")), ruling("a", b="group")),
        (scene(asked("a", 300, group="g"), asked("b", 300, group="g")), ruling(a="group", b="group")),
        (scene(asked("a", 600), asked("b", 600, **BLUES), shares=FAIR), ruling("a", b="share")),  # of blue's weight
    ],
)


@pytest.mark.parametrize(("before", "decided"), CASES.right)
def test_what_is_right_passes(before: Scene, decided: Ruling) -> None:
    Referee(before, decided).judge()


@pytest.mark.parametrize(("before", "decided"), CASES.wrong)
def test_what_is_wrong_is_noticed(before: Scene, decided: Ruling) -> None:
    with pytest.raises(AssertionError):
        Referee(before, decided).judge()
