"""Several holders prepare or keep the same attempt at the same time; one may be frozen, or dead."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from harness.attempts import ROOT, until

from cluster import atomic_folder
from cluster.artifacts import ArtifactStore
from cluster.contents import ContentStore
from cluster.local import content
from cluster.local.content import Sources
from model.content import InlineContent
from model.ids import ExecutionId

RUN = ExecutionId(UUID(int=7))
FILES = {f"folder{n}/file{n}": "x" * n for n in range(50)}
HALT = """
import os, signal, sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from uuid import UUID
from cluster import artifacts
from cluster.artifacts import ArtifactStore
from cluster.contents import ContentStore
from cluster.local import content
from model.content import InlineContent

def halt(owner, name, call):
    plain = getattr(owner, name)
    calls = 0
    def instead(*args, **more):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGSTOP)
        return plain(*args, **more)
    setattr(owner, name, instead)

FILES = {files!r}
folder = Path({folder!r})
halt({owner}, {name!r}, {call})
{work}
"""
PLACE = (
    "print(content.place(InlineContent(files=FILES), folder / 'work', "
    "content.Sources(contents=ContentStore(folder))).entry)"
)
KEEP = "print(len(ArtifactStore(folder / 'kept').keep(UUID(int=7), 1, folder / 'results')))"
IN_PLACE = [("content", "_relative", 25), ("content", "_put", 1), ("content.Path", "rename", 1)]
IN_KEEP = [("artifacts", "_copy", 25), ("artifacts", "_show", 1), ("artifacts.Path", "replace", 1)]


@pytest.fixture
def halted(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run a piece of work in a process that stops itself at the given call of a function."""
    processes: list[subprocess.Popen[str]] = []

    def start(work: str, owner: str, name: str, call: int) -> subprocess.Popen[str]:
        code = HALT.format(
            root=str(ROOT), files=FILES, folder=str(tmp_path), owner=owner, name=name, call=call, work=work
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        until(lambda: stopped(process.pid), "it has stopped itself")
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def resumed(process: subprocess.Popen[str]) -> str:
    """Let it go on, and return what it said at its good end."""
    os.kill(process.pid, signal.SIGCONT)
    said, _ = process.communicate()
    assert process.returncode == 0
    return said.strip()


def place(folder: Path) -> Path:
    return content.place(InlineContent(files=FILES), folder / "work", Sources(contents=ContentStore(folder))).entry


def whole(folder: Path) -> bool:
    return {path: (folder / path).read_text() for path in FILES} == FILES


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def results(folder: Path) -> Path:
    for path, text in FILES.items():
        (folder / "results" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / path).write_text(text)
    return folder / "results"


@pytest.mark.parametrize(("owner", "name", "call"), IN_PLACE)
def test_a_holder_frozen_while_it_places_neither_hinders_the_next_nor_fails(
    tmp_path: Path, halted: Callable[..., subprocess.Popen[str]], owner: str, name: str, call: int
) -> None:
    frozen = halted(PLACE, owner, name, call)

    work = place(tmp_path)
    (work / "made by the test").touch()

    assert resumed(frozen) == str(work)
    assert whole(work)
    assert (work / "made by the test").exists()
    assert hidden(tmp_path) == []


def test_a_holder_killed_while_it_places_leaves_nothing_once_another_has(
    tmp_path: Path, halted: Callable[..., subprocess.Popen[str]]
) -> None:
    killed = halted(PLACE, *IN_PLACE[0])
    killed.kill()
    killed.wait()
    assert len(hidden(tmp_path)) == 1

    assert whole(place(tmp_path))
    assert hidden(tmp_path) == []


def test_many_place_at_once_and_all_come_to_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        entries = set(threads.map(lambda _: place(tmp_path), range(16)))

    assert entries == {tmp_path / "work"}
    assert whole(tmp_path / "work")
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(("owner", "name", "call"), IN_KEEP)
def test_a_holder_frozen_while_it_keeps_neither_hinders_the_next_nor_fails(
    tmp_path: Path, halted: Callable[..., subprocess.Popen[str]], owner: str, name: str, call: int
) -> None:
    left, store = results(tmp_path), ArtifactStore(tmp_path / "kept")
    frozen = halted(KEEP, owner, name, call)

    kept = store.keep(RUN, 1, left)

    assert len(kept) == len(FILES)
    assert resumed(frozen) == str(len(FILES))
    assert whole(tmp_path / "kept" / str(RUN) / "1")
    for artifact in kept:
        assert store.path(artifact.uri).stat().st_size == artifact.size_bytes
    assert len(hidden(tmp_path / "kept" / str(RUN))) == 1


@pytest.mark.parametrize(("owner", "name", "call"), IN_KEEP)
def test_a_holder_killed_while_it_keeps_leaves_nothing_once_another_has(
    tmp_path: Path, halted: Callable[..., subprocess.Popen[str]], owner: str, name: str, call: int
) -> None:
    left, store = results(tmp_path), ArtifactStore(tmp_path / "kept")
    killed = halted(KEEP, owner, name, call)
    killed.kill()
    killed.wait()

    store.keep(RUN, 1, left)

    assert whole(tmp_path / "kept" / str(RUN) / "1")
    assert len(hidden(tmp_path / "kept" / str(RUN))) == 1


def test_many_keep_at_once_and_a_reader_always_finds_all(tmp_path: Path) -> None:
    left, store = results(tmp_path), ArtifactStore(tmp_path / "kept")
    uris = [artifact.uri for artifact in store.keep(RUN, 1, left)]

    with ThreadPoolExecutor(4) as threads:
        keeping = [threads.submit(store.keep, RUN, 1, left) for _ in range(8)]
        while not all(one.done() for one in keeping):
            for uri in uris:
                store.path(uri)

    assert [one.exception() for one in keeping] == [None] * 8
    assert len(hidden(tmp_path / "kept" / str(RUN))) == 1


def test_the_last_complete_one_wins(tmp_path: Path) -> None:
    left, store = results(tmp_path), ArtifactStore(tmp_path / "kept")
    store.keep(RUN, 1, left)
    (left / "folder1" / "file1").write_text("later")

    kept = store.keep(RUN, 1, left)

    with store.open(next(one.uri for one in kept if one.name == "folder1/file1")) as file:
        assert file.read() == b"later"


def test_a_draft_that_is_not_used_goes(tmp_path: Path) -> None:
    with atomic_folder.draft(tmp_path / "target") as draft:
        (draft / "folder").mkdir()

    assert list(tmp_path.iterdir()) == []
