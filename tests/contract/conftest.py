from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.backends import Bed, beds

from cluster.backend import Backend


@pytest.fixture(params=[pytest.param(make, id=name, marks=marks) for name, make, marks in beds()])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    """Each backend in turn, with a folder of its own."""
    made: Bed = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def backend(bed: Bed) -> Backend:
    return bed.open()
