"""`assay simulate` as people call it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from cli import main

ROOT = Path(__file__).resolve().parents[3]
TRACE = "submit_seconds,duration_seconds,cpu_milli,memory_mib,team,priority\n0,10,1000,1,shop,5\n2,4,1000,1,pay,3\n"
NODES = "name,cpu_milli,memory_mib\nn,1000,1024\n"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The arguments that name a small trace and its node."""
    trace, nodes = tmp_path / "trace.csv", tmp_path / "nodes.csv"
    trace.write_text(TRACE)
    nodes.write_text(NODES)
    return [str(trace), "--nodes", str(nodes)]


def test_the_command_runs_without_state_folder_server_and_database(files: list[str], tmp_path: Path) -> None:
    """The real command, in an empty folder, without our settings in its environment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ASSAY_", "DATABASE_"))}

    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "simulate", *files, "--compare", "--json"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(done.stdout)["simulations"]
    assert [each["strategy"] for each in found] == ["FIFO", "PRIORITY", "FAIR_SHARE", "RESOURCE_AWARE"]
    assert [each["waits"]["longestSeconds"] for each in found] == [8.0] * 4
    assert done.stderr == ""


def test_elsewhere_than_on_a_terminal_a_line_is_a_figure(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", *files, "--strategy", "fifo", "--strategy", "PRIORITY"]) == 0

    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["strategy", "FIFO", "PRIORITY"]
    assert ["wait, mean", "4s", "4s"] in lines
    assert ["team pay", "8s", "8s"] in lines


def test_priority_is_the_default(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", *files]) == 0
    assert capsys.readouterr().out.startswith("strategy\tPRIORITY\n")


def test_the_picture_and_the_report_are_written(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, report = tmp_path / "picture.svg", tmp_path / "report.md"

    assert main.run(["simulate", *files, "--plot", str(picture), "--report", str(report)]) == 0

    assert fromstring(picture.read_text()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own picture
    assert report.read_text().startswith("# Simulation\n")
    assert f"wrote {picture}" in capsys.readouterr().err


def test_all_problems_of_both_files_are_told_in_the_order_of_their_lines(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "\n".join(["1,2,3"] * 8)
    Path(files[0]).write_text(f"gpu,priority,team\n-1,5,a\n{rows}\n0,10,a\n")
    Path(files[2]).write_text("name,cpu_milli,memory_mib,disk\nn,x,1,1\n")

    assert main.run(["simulate", *files]) == 4

    captured = capsys.readouterr()
    known = "name, cpu_milli, memory_mib, gpu, labels, count"
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "refused: the files have 4 problems",
        f"  {files[0]}.line[2].gpu: must be from 0 to 1024, not '-1'",
        f"  {files[0]}.line[11].priority: must be from 0 to 9, not '10'",
        f"  {files[2]}.line[1].disk: there is no such column; known are {known}",
        f"  {files[2]}.line[2].cpu_milli: must be a number, not 'x'",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategy", "LIFO"], "choose one of FIFO, PRIORITY, FAIR_SHARE, RESOURCE_AWARE"),
        (["--profile", "best"], "choose one of default"),
        (["--plot", "/nowhere/x.svg"], "/nowhere/x.svg cannot be written"),
        (["--max-concurrent", "0"], "--max-concurrent"),
        (["--ageing-limit", "-1"], "--ageing-limit"),
        (["--ageing-limit", "nan"], "--ageing-limit"),
    ],
)
def test_a_wrong_command_line_is_refused(
    files: list[str], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["simulate", *files, *arguments]) == 4
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(
    files: list[str], content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[2]).unlink() if content is None else Path(files[2]).write_bytes(content)

    assert main.run(["simulate", *files]) == 4
    assert f"  {files[2]}: cannot be read: " in capsys.readouterr().err


def test_an_unreadable_file_hides_no_problem_of_the_other(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[0]).unlink()
    Path(files[2]).write_text("name,cpu_milli\nn,x\n")

    assert main.run(["simulate", *files]) == 4

    told = capsys.readouterr().err
    assert told.startswith("refused: the files have 3 problems\n")
    assert f"{files[0]}: cannot be read" in told


@pytest.mark.parametrize("option", ["--plot", "--report"])
@pytest.mark.parametrize("place", [".", "nowhere/x"])
def test_what_cannot_be_written_is_told_before_the_simulation(
    files: list[str], option: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["simulate", *files, option, str(tmp_path / place)]) == 4

    told = capsys.readouterr()
    assert (told.out, "cannot be written" in told.err) == ("", True)


def test_the_ageing_limit_counts(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An hour of urgent runs: with no end of patience the other one comes last, else after those of five minutes."""
    urgent = "\n".join(f"{30 * number},60,0" for number in range(60))
    Path(files[0]).write_text(f"submit_seconds,duration_seconds,priority\n{urgent}\n1,60,1\n")

    waits = []
    for limit in ("inf", "300"):
        assert main.run(["simulate", *files, "--max-concurrent", "1", "--ageing-limit", limit, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["simulations"]
        waits.append(found["waitsByPriority"][1]["longestSeconds"])

    assert waits == [3599, 659]


def test_a_limit_of_the_pool_holds(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[0]).write_text("duration_seconds,cpu_milli\n10,10\n10,10\n10,10\n")

    assert main.run(["simulate", *files, "--max-concurrent", "1"]) == 0
    assert "makespan\t30s\n" in capsys.readouterr().out


def test_runs_that_fit_nowhere_are_told(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[0]).write_text("cpu_milli\n10\n5000\n")

    assert main.run(["simulate", *files]) == 0

    captured = capsys.readouterr()
    assert "unplaced\t1\n" in captured.out
    assert "5000m CPU" in captured.out
    assert "1 of 2 runs could never start" in captured.err


def test_spot_nodes_are_used_only_if_asked(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[2]).write_text("name,cpu_milli,memory_mib,labels\nn,1000,1024,spot=true\n")

    assert main.run(["simulate", *files]) == 0
    assert "unplaced\t2\n" in capsys.readouterr().out
    assert main.run(["simulate", *files, "--spot"]) == 0
    assert "unplaced\t0\n" in capsys.readouterr().out


def test_the_sample_trace_is_what_its_script_makes(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "traces"
    script = tmp_path / "make.py"
    script.write_text((folder / "make.py").read_text())

    subprocess.run([sys.executable, str(script)], check=True)

    for name in ("morning.csv", "nodes.csv"):
        assert (tmp_path / name).read_text() == (folder / name).read_text()
