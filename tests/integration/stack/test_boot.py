"""What the parts of a stack are told by their environment."""

import socket
from pathlib import Path

import pytest

from cli.stack.boot import Boot, UpOptions
from cli.stack.console import Console
from cli.stack.ports import port_of
from cli.stack.postgres import External
from cli.stack.state import StateFolder
from cli.stack.supervisor import EndingError, Supervisor


@pytest.fixture
def stack(tmp_path: Path) -> Supervisor:
    return Supervisor(StateFolder(path=tmp_path), External("postgresql://u:p@h/assay"), Console())


def test_the_parts_know_the_address_of_their_own_api_and_not_of_the_callers_stack(
    stack: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell that has had `eval "$(assay env)"` of another stack starts this one."""
    monkeypatch.setenv("ASSAY_URL", "http://of-another:1")
    monkeypatch.setenv("ASSAY_API_KEY", "of another")
    monkeypatch.setenv("ASSAY_ALLOWED_HOSTS", "git.internal")
    boot = Boot(options=UpOptions(), stack=stack)
    with socket.create_server(("127.0.0.1", 0)) as api:
        boot._api = api
        known = boot._environment()

        assert known["ASSAY_URL"] == f"http://127.0.0.1:{port_of(api)}"
    assert "ASSAY_API_KEY" not in known
    assert known["ASSAY_ALLOWED_HOSTS"] == "git.internal"


def test_nothing_is_started_once_the_stack_ends(stack: Supervisor) -> None:
    with stack.starting():
        pass
    stack.stop(0)

    with pytest.raises(EndingError), stack.starting():
        pytest.fail("started all the same")
