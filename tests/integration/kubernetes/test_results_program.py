"""The program that sends a test's results: whatever the test has left, only plain files within limits come."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cluster.kubernetes import results


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "results" / "deep").mkdir(parents=True)
    (tmp_path / "output.log").write_bytes(b"0123456789")
    (tmp_path / "usage.json").write_text('{"memory_bytes": 1}')
    (tmp_path / "results" / "deep" / "report.xml").write_text("<x/>")
    return tmp_path


def sent(run: Path, offset: int, live_offset: int = 0, *, packed: bool = False) -> tuple[Any, list[bytes], Any]:
    """Run the program as the keeper does: alone, by path. Return header, output and report, and files."""
    words = [str(results.__file__), str(run), str(offset), str(live_offset), "1" if packed else "0"]
    done = subprocess.run([sys.executable, "-I", "-S", *words], capture_output=True, check=True, timeout=60)
    line, _, rest = done.stdout.partition(b"\n")
    header = json.loads(line)
    output, rest = rest[: header["bytes"]], rest[header["bytes"] :]
    live, rest = rest[: header["live"]], rest[header["live"] :]
    assert bool(rest) == packed
    return header, [output, live], _files(rest) if packed else {}


def _files(packed: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            source = archive.extractfile(member)
            assert source is not None
            files[member.name] = source.read()
    return files


def test_output_and_report_come_from_their_offsets_on(run: Path) -> None:
    (run / "results" / "results.jsonl").write_text("one\ntwo\n")

    header, pieces, files = sent(run, 3, 4)

    assert (header["usage"], pieces, files) == ({"memory_bytes": 1}, [b"3456789", b"two\n"], {})
    assert sent(run, 10, 8)[1] == [b"", b""]
    assert sent(run, 99, 99)[1] == [b"", b""]


def test_results_come_with_their_paths(run: Path) -> None:
    assert sent(run, 10, packed=True)[2] == {"deep/report.xml": b"<x/>"}


def test_links_pipes_and_names_that_cannot_be_shown_are_left_out(run: Path) -> None:
    folder = run / "results"
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "back\\slash").write_text("")
    (folder / "new\nline").write_text("")
    (folder / "closed").mkdir(mode=0)

    assert list(sent(run, 0, packed=True)[2]) == ["deep/report.xml"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing"])
def test_output_and_usage_may_be_anything(run: Path, kind: str) -> None:
    for name in ("output.log", "usage.json"):
        (run / name).unlink()
        if kind == "link":
            (run / name).symlink_to("/etc/passwd")
        elif kind == "pipe":
            os.mkfifo(run / name)
        elif kind == "folder":
            (run / name).mkdir()

    header, pieces, _ = sent(run, 0)

    assert (header, pieces) == ({"bytes": 0, "live": 0, "usage": None}, [b"", b""])


def test_more_than_the_limits_is_left_out(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (run / "results" / f"{number}").write_bytes(bytes(number))
    monkeypatch.setattr(results, "MOST_FILES", 4)
    monkeypatch.setattr(results, "LARGEST_FILE", 3)

    left_out = results.pack(str(run / "results"), io.BytesIO())

    assert left_out == ["4", "deep/report.xml"]
