"""Which PostgreSQL is used, and under which names: DATABASE_URL wins."""

from pathlib import Path

import pytest

from cli.stack.postgres import PREFECT_URL, Embedded, External, choose
from cli.stack.prefect_server import client_environment, server_environment


def test_without_database_url_the_embedded_one_is_used() -> None:
    assert isinstance(choose({}, Path("unused")), Embedded)


@pytest.mark.parametrize(
    ("url", "own", "prefect"),
    [
        (
            "postgresql://me:p%40ss@db.example:5433/tests",
            "postgresql+psycopg2://me:p%40ss@db.example:5433/tests",
            "postgresql+asyncpg://me:p%40ss@db.example:5433/tests_prefect",
        ),
        (
            "postgres://me@db.example/tests?sslmode=require",
            "postgresql+psycopg2://me@db.example/tests?sslmode=require",
            "postgresql+asyncpg://me@db.example/tests_prefect?ssl=require",
        ),
    ],
)
def test_database_url_wins_and_prefect_gets_a_database_beside_ours(url: str, own: str, prefect: str) -> None:
    postgres = choose({"DATABASE_URL": url}, Path("unused"))

    assert isinstance(postgres, External)
    assert (postgres.own_url, postgres.prefect_url) == (own, prefect)


def test_prefects_own_database_can_be_named() -> None:
    environment = {"DATABASE_URL": "postgresql://a/ours", PREFECT_URL: "postgresql+asyncpg://b/theirs"}

    assert choose(environment, Path("unused")).prefect_url == "postgresql+asyncpg://b/theirs"


def test_another_database_than_postgresql_is_refused() -> None:
    with pytest.raises(ValueError, match="PostgreSQL only"):
        choose({"DATABASE_URL": "sqlite:///tests.db"}, Path("unused"))


def test_prefects_server_is_told_to_listen_here_only_and_to_tell_nobody() -> None:
    client = client_environment(4201, Path("/state"), "assay:secret")
    settings = server_environment(client, 4201, Path("/state"), "postgresql+asyncpg://db")

    assert settings["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert settings["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4201,http://localhost:4201"
    assert settings["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4201/api"
    assert settings["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert settings["PREFECT_HOME"].startswith("/state/")


def test_prefects_server_wants_what_its_clients_send() -> None:
    client = client_environment(4201, Path("/state"), "assay:secret")
    settings = server_environment(client, 4201, Path("/state"), "postgresql+asyncpg://db")

    assert client["PREFECT_API_AUTH_STRING"] == "assay:secret"
    assert settings["PREFECT_SERVER_API_AUTH_STRING"] == "assay:secret"
