"""A program that cannot be started: the detail names it as the request does, and says why."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from harness.attempts import Bench, output

from cluster.contents import ContentStore
from cluster.local import content, start_errors
from cluster.local.content import Sources
from executors.registry import tool_for
from model.content import InlineContent
from model.ending import Ending, How
from model.execution import Reason, Verdict
from model.request import TestType
from model.result import Report
from model.verdict import judge

INPUT = Path(__file__).parents[2] / "data" / "first-round" / "start-error-says-why" / "suite.yaml"
SUITE = yaml.safe_load(INPUT.read_text())
EXPECTED = {
    "not there": "could not be started: 'no-such-program': no such file or directory",
    "not executable": "could not be started: ./a: permission denied",
}


def verdict_on(bench: Bench, command: list[str], files: dict[str, str], arrange: Callable[[Path], object]) -> Verdict:
    """Start a command in a content that holds `files`, and judge it as a worker does."""
    spec = bench.spec(*command)
    spec.cwd.rmdir()
    content.place(InlineContent(files=files), spec.cwd, Sources(contents=ContentStore(bench.folder)))
    arrange(spec.cwd)
    record = bench.run(spec)
    ending = Ending(how=How(record.reason), exit_code=record.exit_code, detail=record.detail)
    verdict = judge(Report(), ending, tool_for(TestType.CUSTOM).verdict)
    assert verdict.detail in output(spec).decode()
    assert str(bench.folder) not in verdict.detail
    return verdict


def as_it_is(_: Path) -> None:
    """Change nothing in the content."""


@pytest.mark.parametrize("test", SUITE["tests"], ids=lambda test: test["name"])
def test_the_detail_of_the_input_says_why(bench: Bench, test: dict[str, str]) -> None:
    files = SUITE["defaults"]["content"]["files"]

    verdict = verdict_on(bench, list(test["command"]), files, as_it_is)

    assert (verdict.reason, verdict.detail) == (Reason.START_ERROR, EXPECTED[test["name"]])


def executable(name: str, text: bytes) -> Callable[[Path], object]:
    def arrange(work: Path) -> None:
        (work / name).write_bytes(text)
        (work / name).chmod(0o755)

    return arrange


@pytest.mark.parametrize(
    ("command", "arrange", "detail"),
    [
        (["./not/there"], as_it_is, "./not/there: no such file or directory"),
        (["./x y"], as_it_is, "'./x y': no such file or directory"),
        (["./d"], lambda work: (work / "d").mkdir(), "./d: is a directory"),
        (["./a/b"], as_it_is, "./a/b: not a directory"),
        (["./run"], executable("run", b"echo no first line\n"), "./run: exec format error"),
        (
            ["./run"],
            executable("run", b"#!/no/such/shell -e\necho\n"),
            "./run: its first line names the interpreter '/no/such/shell': no such file or directory",
        ),
        (
            ["./run"],
            executable("run", b"#!/bin/sh\r\necho\r\n"),
            "./run: its first line names the interpreter '/bin/sh\\r': no such file or directory",
        ),
        (
            ["./run"],
            executable("run", b"#!/etc\necho\n"),
            "./run: its first line names the interpreter '/etc': permission denied",
        ),
        (["sh", "x" * 200_000], as_it_is, "'sh': argument list too long"),
        (["a"], as_it_is, "'a': no such file or directory"),
    ],
)
def test_each_reason_is_told_in_the_words_of_the_system(
    bench: Bench, command: list[str], arrange: Callable[[Path], object], detail: str
) -> None:
    verdict = verdict_on(bench, command, {"a": "b"}, arrange)

    assert (verdict.reason, verdict.detail) == (Reason.START_ERROR, f"could not be started: {detail}")


def test_a_missing_interpreter_of_ours_is_not_the_fault_of_the_request(bench: Bench) -> None:
    """Its path is not named: nobody but us wrote it."""
    record = bench.run(replace(bench.spec("/no/such/venv/bin/python"), own_interpreter=True))

    assert (record.reason, record.detail) == ("no_room", "no such file or directory")


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENOSPC, errno.EIO])
def test_a_machine_without_room_is_not_the_fault_of_the_request(number: int) -> None:
    assert start_errors.machine_is_at_fault(OSError(number, os.strerror(number)))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.E2BIG, errno.ELOOP, errno.EPERM])
def test_a_program_that_is_none_is_the_fault_of_the_request(number: int) -> None:
    assert not start_errors.machine_is_at_fault(OSError(number, os.strerror(number)))


def test_words_without_a_number_are_kept() -> None:
    assert start_errors.sentence("a\0b", ValueError("embedded null byte")) == "'a\\x00b': embedded null byte"
