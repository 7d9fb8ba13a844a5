"""Files that a run leaves are kept within limits."""

from pathlib import Path
from uuid import UUID

import pytest

from cluster.artifacts import LEFT_OUT, ArtifactStore, Limits
from model.ids import ExecutionId
from model.mask import Mask

RUN = ExecutionId(UUID(int=7))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts", Limits(files=5, file_bytes=1_000, sum_bytes=2_500))


def left_out(store: ArtifactStore) -> str:
    return store.path(f"file:{RUN}/1/{LEFT_OUT}").read_text()


def test_too_large_too_many_and_too_much_are_left_out_and_named(store: ArtifactStore, results: Path) -> None:
    (results / "a-large").write_bytes(bytes(1_001))
    for name in ("b", "c", "d"):
        (results / name).write_bytes(bytes(900))
    for number in range(5):
        (results / f"e{number}").write_bytes(b"x")

    kept = [artifact.name for artifact in store.keep(RUN, 1, results)]

    assert kept == ["b", "c", "e0", "e1", "e2", LEFT_OUT]
    told = left_out(store)
    assert "a-large: 1001 bytes, more than the 1000" in told
    assert "d: 900 bytes, more than the 700" in told
    assert "e3: more than 5 files" in told


def test_secrets_across_the_pieces_of_a_copy_are_masked(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.artifacts._PIECE", 64)
    text = "".join(f"{'.' * (n % 7)}open-sesame concat-" for n in range(200))
    (results / "a.txt").write_text(text)
    store = ArtifactStore(tmp_path / "artifacts")

    store.keep(RUN, 1, results, Mask(["open-sesame", "cat"]))

    kept = store.path(f"file:{RUN}/1/a.txt").read_text()
    assert kept == text.replace("open-sesame", "*" * 11)


def test_thousands_of_files_cost_a_bounded_look(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.artifacts.MOST_LOOKED_AT", 10)
    for number in range(50):
        (results / f"{number:02}").write_text("")
    store = ArtifactStore(tmp_path / "artifacts")

    kept = store.keep(RUN, 1, results)

    assert len(kept) == 11
    assert "10: this and what follows" in left_out(store)
