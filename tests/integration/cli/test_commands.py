import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from cli import main
from cli.failure import RefusedError, UnreachableError
from cli.logs import events
from cli.output import seconds, size

ROOT = Path(__file__).resolve().parents[3]


def commands() -> Iterator[tuple[str, Any]]:
    main._mount_stack()
    group = typer.main.get_command(main.app)
    for name, command in group.commands.items():
        yield name, command
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", subcommand


def test_every_command_has_an_example_in_its_help() -> None:
    without = [name for name, command in commands() if "assay " not in f"{command.help or ''}{command.epilog or ''}"]

    assert without == []


def examples() -> list[str]:
    texts = (command.epilog or "" for _, command in commands())
    return sorted({text.removeprefix("Example: ") for text in texts if text.startswith("Example: assay ")})


@pytest.mark.parametrize("example", examples())
def test_every_example_of_the_help_is_a_command_that_is_accepted(example: str) -> None:
    """Its options are known, their values are right, and nothing is missing. The command itself is not run."""
    _, *words = shlex.split(example)
    command: Any = typer.main.get_command(main.app)

    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]

    assert command.make_context("assay", words)


@pytest.mark.parametrize("example", examples())
def test_every_file_of_the_repository_in_an_example_is_there(example: str) -> None:
    named = [word for word in shlex.split(example) if word.startswith(("examples/", "docs/", "tests/"))]

    assert [word for word in named if not (ROOT / word).is_file()] == []


def test_the_examples_with_files_are_among_them() -> None:
    """A word that is no path would make the test of files say nothing."""
    files = {word for example in examples() for word in shlex.split(example) if word.startswith("examples/")}

    assert {"examples/nightly.yaml", "examples/suites/orders.yaml"} <= files


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    missing = [name for name, _ in commands() if f"`assay {name}" not in page]
    missing += [
        f"{name} {option}"
        for name, command in commands()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help" and option not in page
    ]

    assert missing == []


def test_every_command_has_json() -> None:
    without = [
        name
        for name, command in commands()
        if not hasattr(command, "commands") and "--json" not in {o for p in command.params for o in p.opts}
    ]

    assert without == []


def test_the_bare_command_shows_its_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    out, err = capsys.readouterr()
    assert (out.startswith("Usage: assay"), "up" in out.split(), err) == (True, True, "")

    assert main.run(["secret"]) == 0
    assert capsys.readouterr().out.startswith("Usage: assay secret")


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0

    assert capsys.readouterr().out == f"assay {version('assay')}\n"


def test_a_misspelt_command_is_refused_not_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rum", "x"]) == 4
    assert main.run(["list", "--limit", "999"]) == 4
    assert "--limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "code"), [(400, 4), (401, 4), (404, 4), (409, 4), (413, 4), (429, 6), (500, 3), (503, 3)]
)
def test_refusals_end_with_the_documented_codes(status: int, code: int) -> None:
    assert RefusedError(status, "x").exit_code == code


def test_no_answer_is_infrastructure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ASSAY_API_KEY", "k")

    assert main.run(["list"]) == UnreachableError.exit_code == 3


def test_the_command_starts_without_loading_what_only_some_need() -> None:
    heavy = ("httpx", "rich", "prefect", "pydantic", "sqlalchemy")
    code = f"import sys, cli.main; print([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_server_sent_events_are_read_with_comments_and_several_lines() -> None:
    lines = [": ping", "", "event: log", 'data: "a', 'data: b"', "id: 7", "", "data: x", ""]

    found = [(event.name, event.data, event.id) for event in events(lines)]

    assert found == [("log", '"a\nb"', "7"), ("message", "x", "")]


def test_amounts_read_well() -> None:
    assert [size(n) for n in (0, 1023, 1536, 3 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]
    assert [seconds(n) for n in (0.25, 59.9, 61.0, None)] == ["0.2s", "59.9s", "1m01s", None]
