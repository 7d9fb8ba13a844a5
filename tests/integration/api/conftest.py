from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from harness.rest import KEY, Api, serving

from api.settings import Settings
from cli import main
from db.engine import Database


def quick(url: str, state: Path) -> Settings:
    """Return settings with short intervals, so that tests of streams need not wait."""
    return Settings(database_url=url, state=state, api_key=KEY, log_poll=0.02, heartbeat=0.2, pool_size=4)


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return quick(db.url, tmp_path / "state")


@pytest.fixture
def api(db: Database, settings: Settings) -> Iterator[Api]:
    with serving(settings) as url:
        yield Api(url=url, db=db, state=settings.state)


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@pytest.fixture(scope="session")
def shared_api(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve one API for all tests that write nothing."""
    settings = quick(new_database(), tmp_path_factory.mktemp("shared") / "state")
    with serving(settings) as url, Database(settings.database_url) as db:
        yield Api(url=url, db=db, state=settings.state)


@pytest.fixture(scope="session")
def shared_client(shared_api: Api) -> Iterator[httpx.Client]:
    with shared_api.client() as client:
        yield client


@pytest.fixture
def assay(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run one command line against the server of this test; return its exit code, stdout and stderr."""
    monkeypatch.setenv("ASSAY_URL", api.url)
    monkeypatch.setenv("ASSAY_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main.run(list(arguments))
        return code, *capfd.readouterr()

    return run
