"""What a worker is told by its environment."""

from pathlib import Path

import pytest

from api import settings as api_settings
from flows.settings import from_environment

NEEDED = {"DATABASE_URL": "postgresql://", "ASSAY_STATE": "/state"}


@pytest.mark.parametrize("name", list(NEEDED))
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known, value in NEEDED.items():
        monkeypatch.setenv(known, value)
    monkeypatch.delenv(name)

    with pytest.raises(KeyError, match=name):
        from_environment()


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
