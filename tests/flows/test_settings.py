"""What the worker and the API read from their environment."""

from pathlib import Path

import pytest

from api import settings as api_settings
from api.settings import LOOPBACK_HOSTS
from flows.settings import Settings, from_environment
from model.ids import WorkerId
from model.problems import InvalidError, Problem

NEEDED = {"DATABASE_URL": "postgresql://", "ASSAY_STATE": "/state"}


@pytest.mark.parametrize("name", list(NEEDED))
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known, value in NEEDED.items():
        monkeypatch.setenv(known, value)
    monkeypatch.delenv(name)

    with pytest.raises(InvalidError, match=f"^{name}: is required$"):
        from_environment()


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = {
        "DATABASE_URL": "", "ASSAY_LEASE_SECONDS": "soon", "ASSAY_PREFECT_LIMIT": "many", "ASSAY_MACHINE_SHARE": "0",
        "ASSAY_LOG_LEVEL": "LOUD", "ASSAY_STATE": "/state",
    }  # fmt: skip

    with pytest.raises(InvalidError) as caught:
        from_environment(wrong)

    assert caught.value.problems == (
        Problem(path="ASSAY_LEASE_SECONDS", message="must be a number of seconds"),
        Problem(path="ASSAY_LOG_LEVEL", message="must be one of DEBUG, INFO, WARNING, ERROR"),
        Problem(path="ASSAY_MACHINE_SHARE", message="must be above 0"),
        Problem(path="ASSAY_PREFECT_LIMIT", message="must be a whole number"),
        Problem(path="DATABASE_URL", message="is required"),
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("k" * 19, "the API key has 19 characters, but needs at least 20"),
        (None, "cannot be read"),
    ],
)
def test_an_api_key_that_keeps_nobody_out_is_refused(tmp_path: Path, key: str | None, message: str) -> None:
    if key is not None:
        (tmp_path / "api-key").write_text(f"{key}\n")

    with pytest.raises(InvalidError, match=message) as caught:
        api_settings.from_environment(
            {"DATABASE_URL": "postgresql://", "ASSAY_STATE": str(tmp_path), "ASSAY_API_PORT": "70000"}
        )

    assert [problem.path for problem in caught.value.problems] == ["ASSAY_API_PORT", "api_key"]


def test_the_key_is_read_from_the_named_file_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{'k' * 40}\n")
    environment = {
        "DATABASE_URL": "postgresql://", "ASSAY_STATE": "/state", "ASSAY_API_KEY_FILE": str(tmp_path / "key"),
    }  # fmt: skip

    settings = api_settings.from_environment(environment)

    assert settings.api_key == "k" * 40
    assert settings.allowed_hosts == LOOPBACK_HOSTS
    assert "kkk" not in repr(settings)


def test_settings_that_are_made_in_code_take_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_POOL", "gpu")
    monkeypatch.setenv("pool", "gpu")

    made = Settings(database_url="postgresql://", state=Path("/state"), worker=WorkerId("w"))

    assert made.pool == "default"
    assert from_environment({**NEEDED, "pool": "gpu", "worker": "w"}).pool == "default"


def test_allowed_hosts_are_compared_as_addresses_write_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for known, value in NEEDED.items():
        monkeypatch.setenv(known, value)
    monkeypatch.setenv("ASSAY_ALLOWED_HOSTS", " Git.Example.org, ,host:1,")
    (tmp_path / "api-key").write_text("k" * 40)
    environment = {
        "DATABASE_URL": "postgresql://", "ASSAY_STATE": str(tmp_path), "ASSAY_API_ALLOWED_HOSTS": "CI.local , b",
    }  # fmt: skip

    assert from_environment().allowed_hosts == {"git.example.org", "host:1"}
    assert {"ci.local", "b"} <= set(api_settings.from_environment(environment).allowed_hosts)


def test_allowed_entrypoints_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    for known, value in NEEDED.items():
        monkeypatch.setenv(known, value)
    assert from_environment().allowed_entrypoints == frozenset()

    monkeypatch.setenv("ASSAY_ALLOWED_ENTRYPOINTS", " team.flows.clean , ,team.flows.Load,")

    assert from_environment().allowed_entrypoints == {"team.flows.clean", "team.flows.Load"}


def test_the_limit_of_runs_on_their_way_into_the_queue_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for known, value in NEEDED.items():
        monkeypatch.setenv(known, value)
    monkeypatch.setenv("ASSAY_PREFECT_LIMIT", "2")

    assert from_environment().prefect_limit == 2
