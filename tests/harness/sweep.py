"""Choose which of the long tests run by default: a third, by `ASSAY_SWEEP_SEED`; with `ASSAY_SWEEP=all` all of them."""

import os
from collections.abc import Sequence
from random import Random
from typing import TypeVar

import pytest

PARTS = 3
ALL = os.environ.get("ASSAY_SWEEP") == "all"
SEED = int(os.environ.get("ASSAY_SWEEP_SEED", "1"))

T = TypeVar("T")


def third(cases: Sequence[T]) -> list[T]:
    """Return a mixed third of the cases of a sweep, in their order. The seeds 0, 1 and 2 cover all cases."""
    if ALL:
        return list(cases)
    mixed = Random(0).sample(range(len(cases)), len(cases))
    return [cases[number] for number in sorted(mixed[SEED % PARTS :: PARTS])]


def part(number: int) -> pytest.MarkDecorator:
    """Return the mark of the tests of one of three parts, which a seed of that number, modulo 3, chooses."""
    reason = f"takes minutes: `make sweep` runs it, and `ASSAY_SWEEP_SEED={number}` with the target of its mark"
    return pytest.mark.skipif(not ALL and number != SEED % PARTS, reason=reason)
