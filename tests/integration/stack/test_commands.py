"""What the commands say when nothing runs, and what a shell gets when something does."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.main import run
from cli.stack.browser import SCREENS
from cli.stack.state import StackRecord, StateFolder, this_process


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFolder:
    made = StateFolder(path=tmp_path / "it's a state")
    made.prepare()
    monkeypatch.setenv("ASSAY_STATE", str(made.path))
    return made


def test_status_of_nothing_is_down(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["status", "--json"])

    report = json.loads(capsys.readouterr().out)
    assert code == 3
    assert (report["phase"], report["well"], report["parts"]) == ("down", False, [])
    assert report["state_folder"] == str(folder.path)


@pytest.mark.usefixtures("folder")
def test_down_without_a_stack_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down"]) == 0
    assert "no stack runs here" in capsys.readouterr().err


def test_down_tells_programs_whether_there_was_a_stack(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["down", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told == {"state_folder": str(folder.path), "ended": False, "message": "no stack runs here"}


@pytest.mark.usefixtures("folder")
def test_env_without_a_stack_exports_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["env"])

    said = capsys.readouterr()
    assert code == 3
    assert said.out == ""
    assert "assay up" in said.err


def test_env_gives_a_shell_what_it_needs(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    record = StackRecord(
        supervisor=this_process(), api_url="http://127.0.0.1:4300", prefect_url="http://127.0.0.1:4200"
    )
    folder.write(record)

    assert run(["env"]) == 0

    wanted = "$PREFECT_API_URL $PREFECT_API_AUTH_STRING $ASSAY_URL $ASSAY_API_KEY"
    script = f'eval "{capsys.readouterr().out.replace(chr(34), "")}"; echo "{wanted}"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    prefect = ["http://127.0.0.1:4200/api", folder.prefect_credential()]
    assert shell.stdout.split() == [*prefect, "http://127.0.0.1:4300", folder.api_key()]


def test_env_gives_programs_the_same(folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write(
        StackRecord(supervisor=this_process(), api_url="http://127.0.0.1:4300", prefect_url="http://127.0.0.1:4200")
    )

    assert run(["env", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "PREFECT_API_AUTH_STRING": folder.prefect_credential(),
        "ASSAY_URL": "http://127.0.0.1:4300",
        "ASSAY_API_KEY": folder.api_key(),
    }


def test_open_without_a_screen_prints_the_address_and_the_password(
    folder: StateFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address holds no password: it would stand in the arguments of the browser, for every user to read."""
    for name in SCREENS:
        monkeypatch.delenv(name, raising=False)
    folder.write(StackRecord(supervisor=this_process(), prefect_url="http://127.0.0.1:4200"))

    assert run(["open"]) == 0
    said = capsys.readouterr()
    assert "http://127.0.0.1:4200" in said.out
    assert folder.prefect_credential() in said.out
    assert "do it yourself" in said.err


def test_open_gives_a_browser_the_address_alone(
    folder: StateFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > "{opened}"\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"'{browser}' %s")
    folder.write(StackRecord(supervisor=this_process(), prefect_url="http://127.0.0.1:4200"))

    assert run(["open", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert opened.read_text() == "http://127.0.0.1:4200\n"
    assert told == {"url": "http://127.0.0.1:4200", "password": folder.prefect_credential(), "opened": True}


@pytest.mark.usefixtures("folder")
def test_open_without_a_stack_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["open"]) == 3
    assert "assay up" in capsys.readouterr().err


def test_env_of_a_stack_that_has_ended_exports_nothing(folder: StateFolder) -> None:
    ended = this_process().__class__(pid=2**22 + 1, start_time=1, boot_id="past")
    folder.write(StackRecord(supervisor=ended, api_url="http://127.0.0.1:4300"))

    assert run(["env"]) == 3
