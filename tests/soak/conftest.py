from pathlib import Path

import pytest
from harness.folder_fixtures import of_folder
from harness.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """One whole stack for all tests of this folder: real PostgreSQL, Prefect, API and worker."""
    return of_folder(request, lambda: running_stack(Path(tmp_path_factory.mktemp("stack"))))
