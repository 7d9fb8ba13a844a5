from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.attempts import Bench

from cluster.local import processes
from model.ids import ExecutionId


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield Bench(tmp_path / "runs")
    for attempt in (tmp_path / "runs").glob("*/*"):
        if handle := processes.adopt(attempt):
            processes.stop(handle)
        processes.sweep(ExecutionId(attempt.parent.name), int(attempt.name), attempt)
