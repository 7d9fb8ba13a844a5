"""A backend is opened by the name of its package."""

from pathlib import Path

import pytest

from cluster import backend_factory
from cluster.backend_factory import BackendSettings, UnknownBackendError
from cluster.contents import ContentStore
from cluster.local.backend import LocalBackend
from cluster.local.identity import node_name
from flows.settings import from_environment
from model.problems import InvalidError


@pytest.fixture
def settings(tmp_path: Path) -> BackendSettings:
    return BackendSettings(state=tmp_path, contents=ContentStore(tmp_path / "content"))


def test_the_backend_of_this_machine_has_the_name_of_its_node(settings: BackendSettings) -> None:
    opened = backend_factory.open_backend("local", settings)

    assert isinstance(opened, LocalBackend)
    assert opened.name == f"local/{node_name(settings.state)}"
    opened.close()


async def test_it_gets_the_settings_of_the_worker(tmp_path: Path) -> None:
    contents = ContentStore(tmp_path / "content")
    shares = [BackendSettings(state=tmp_path, contents=contents, cpu_share=share) for share in (1.0, 0.5)]

    opened = [backend_factory.open_backend("local", each) for each in shares]
    whole, half = [(await each.nodes())[0].capacity.cpu_milli for each in opened]

    assert half == whole // 2
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", ["", "nothing", "logs", "local.factory", "../local"])
def test_an_unknown_name_is_refused_with_the_known_ones(settings: BackendSettings, name: str) -> None:
    """`logs` is a module of `cluster`, and no backend."""
    with pytest.raises(UnknownBackendError, match=r"known are .*local") as refused:
        backend_factory.open_backend(name, settings)

    assert refused.value.name == name


def test_a_worker_with_an_unknown_backend_does_not_start(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://a/b", "ASSAY_STATE": str(tmp_path), "ASSAY_BACKEND": "nothing"}

    with pytest.raises(InvalidError) as refused:
        from_environment(environment)

    [problem] = refused.value.problems
    assert problem.path == "ASSAY_BACKEND"
    assert "there is no backend 'nothing'; known are" in problem.message
