"""Choose which of the long tests on a cluster run by default: a third, which `ASSAY_SWEEP_SEED` chooses."""

import os

import pytest

PARTS = 3


def part(number: int) -> pytest.MarkDecorator:
    """Return the mark of the tests of one third; `ASSAY_SWEEP=all` (`make sweep`) runs all of them."""
    seed = int(os.environ.get("ASSAY_SWEEP_SEED", "1"))
    skipped = os.environ.get("ASSAY_SWEEP") != "all" and seed % PARTS != number
    reason = f"takes minutes: `make sweep` runs it, and `ASSAY_SWEEP_SEED={number} make test-cluster`"
    return pytest.mark.skipif(skipped, reason=reason)
