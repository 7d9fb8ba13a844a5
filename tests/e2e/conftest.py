from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One whole stack for all tests of this folder: real PostgreSQL, Prefect, API and worker."""
    running = Stack(Path(tmp_path_factory.mktemp("stack")))
    try:
        yield running.start()
    finally:
        running.stop()
