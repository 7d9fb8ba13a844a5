"""The program that sends a test's results: whatever the test has left, only plain files within limits come."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cluster.artifacts import ArtifactStore
from cluster.kubernetes import results
from cluster.local import content
from model.ids import ExecutionId


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


def test_links_pipes_and_names_that_cannot_be_shown_are_left_out_and_named(run: Path) -> None:
    folder = run / "results"
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "back\\slash").write_text("")
    (folder / "new\nline").write_text("")
    (folder / "left-out.txt").write_text("all is well")

    files = sent(run, 0, packed=True)[2]

    assert list(files) == ["deep/report.xml", "left-out.txt"]
    assert files["left-out.txt"].decode().splitlines() == [
        "Not kept of what the run left:",
        "back\\slash: its name cannot be printed",
        "left-out.txt: that name is Assay's own",
        "new\\nline: its name cannot be printed",
        "outside: a symbolic link",
        "pipe: not a regular file, or too deep",
        "secret: a symbolic link",
    ]


def test_reports_come_before_all_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By them the test is judged: 2,000 pictures must not take the room of the one that has failed."""
    for name in ("a.png", "b.png", "z.xml", "z.json"):
        (run / "results" / name).write_text("")
    monkeypatch.setattr(results, "MOST_FILES", 3)

    left_out = results.pack(str(run / "results"), io.BytesIO())

    assert left_out == ["a.png: more than 3 files", "b.png: more than 3 files"]


def test_what_a_pod_could_not_bring_is_named_among_the_artifacts(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "results" / "video.mp4").write_bytes(bytes(10))
    (run / "results" / "link").symlink_to("/etc/passwd")
    monkeypatch.setattr(results, "LARGEST_FILE", 5)
    packed, brought = io.BytesIO(), tmp_path / "brought"
    brought.mkdir()
    results.pack(str(run / "results"), packed)
    packed.seek(0)
    content.extract(packed, brought)
    (brought / "other-link").symlink_to("/etc")
    store = ArtifactStore(tmp_path / "kept")

    kept = store.keep(ExecutionId(uuid4()), 1, brought)

    assert [one.name for one in kept] == ["deep/report.xml", "left-out.txt"]
    assert store.path(kept[1].uri).read_text().splitlines() == [
        "Not kept of what the run left:",
        "link: a symbolic link",
        "video.mp4: 10 bytes, more than the 5 there is room for",
        "other-link: a symbolic link",
    ]


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

    assert left_out == ["deep/report.xml: 4 bytes, more than the 3 there is room for", "4: more than 4 files"]


def test_a_folder_that_is_a_link_is_not_followed(run: Path) -> None:
    shutil.rmtree(run / "results")
    (run / "results").symlink_to("/etc")

    assert list(sent(run, 0, packed=True)[2]) == ["left-out.txt"]
