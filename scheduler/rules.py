"""The rules that this installation adds to those of `scheduler.plan`."""

from scheduler.rule import GateRule

RULES: tuple[GateRule, ...] = ()
"""In the order in which a refusal is given as the reason."""
