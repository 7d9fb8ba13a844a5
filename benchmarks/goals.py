"""How a figure stands to its goal, in one line, the same in all benchmarks."""


def at_least(what: str, figure: float, wanted: float, unit: str = "") -> str:
    """Tell whether a figure that should be high is high enough."""
    return _line(what, (figure, wanted, unit), "at least", missing=(wanted - figure) / wanted)


def at_most(what: str, figure: float, wanted: float, unit: str = "") -> str:
    """Tell whether a figure that should be low is low enough."""
    return _line(what, (figure, wanted, unit), "at most", missing=(figure - wanted) / wanted)


def _line(what: str, figures: tuple[float, float, str], bound: str, missing: float) -> str:
    figure, wanted, unit = figures
    end = "reached" if missing <= 0 else f"missed by {missing:.1%}"
    return f"goal: {what}: {bound} {wanted:,g}{unit}, it is {figure:,.4g}{unit}: {end}"
