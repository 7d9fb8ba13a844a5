"""The rules that this installation adds to those of `scheduler.admission.plan`."""

from scheduler.admission.rule import GateRule

RULES: tuple[GateRule, ...] = ()
"""In the order in which a refusal is given as the reason."""
