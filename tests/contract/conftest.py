from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.backends import BEDS, MARKS, Bed

from cluster.backend import Backend


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in BEDS])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Each backend in turn, with a place of its own."""
    made = BEDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def backend(bed: Bed) -> Backend:
    return bed.open()
