from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness.rest import KEY, Api, serving

from api.settings import Settings
from db.engine import Database


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(
        database_url=db.url, state=tmp_path / "state", api_key=KEY, log_poll=0.02, heartbeat=0.2, pool_size=4
    )


@pytest.fixture
def api(db: Database, settings: Settings) -> Iterator[Api]:
    with serving(settings) as url:
        yield Api(url=url, db=db, state=settings.state)


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client
