"""Files that a run leaves are kept within limits, and nothing else is."""

import os
from pathlib import Path
from uuid import UUID

import pytest

from cluster.artifacts import LEFT_OUT, ArtifactError, ArtifactStore, Limits
from cluster.secrets import Mask
from model.ids import ExecutionId
from model.result import ArtifactType

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


def test_each_file_is_kept_with_its_kind_and_size(store: ArtifactStore, results: Path) -> None:
    (results / "shots").mkdir()
    for name in ("shots/a.png", "film.mp4", "out.log", "junit.xml", "core"):
        (results / name).write_text(name)

    kept = store.keep(RUN, 1, results)

    assert [(a.name, a.type, a.content_type, a.size_bytes) for a in kept] == [
        ("core", ArtifactType.OTHER, "application/octet-stream", 4),
        ("film.mp4", ArtifactType.VIDEO, "video/mp4", 8),
        ("junit.xml", ArtifactType.REPORT, "application/xml", 9),
        ("out.log", ArtifactType.LOG, "application/octet-stream", 7),
        ("shots/a.png", ArtifactType.SCREENSHOT, "image/png", 11),
    ]
    with store.open(kept[-1].uri) as file:
        assert file.read() == b"shots/a.png"


def test_keeping_again_does_the_same(store: ArtifactStore, results: Path) -> None:
    (results / "a").write_text("1")
    first = store.keep(RUN, 1, results)

    assert store.keep(RUN, 1, results) == first


def test_links_and_other_things_are_left_out_and_named(store: ArtifactStore, results: Path) -> None:
    (results / "link").symlink_to("/etc/passwd")
    (results / "folder").symlink_to("/etc")
    os.mkfifo(results / "pipe")
    (results / "back\\slash").write_text("")
    (results / "new\nline").write_text("")
    os.close(os.open(os.fsencode(results) + b"/\xff", os.O_CREAT))
    (results / LEFT_OUT).write_text("ours")

    kept = store.keep(RUN, 1, results)

    assert [artifact.name for artifact in kept] == [LEFT_OUT]
    told = left_out(store)
    assert "link: a symbolic link" in told
    assert "folder: a symbolic link" in told
    assert "pipe: not a regular file" in told
    assert "new\\nline: its name" in told
    assert len(told.splitlines()) == 8


def test_a_link_in_place_of_the_folder_leads_nowhere(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/etc")

    assert store.keep(RUN, 1, tmp_path / "away") == []


def test_a_folder_that_is_gone_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.keep(RUN, 1, tmp_path / "gone") == []


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


def test_secrets_are_masked_in_what_is_kept(store: ArtifactStore, results: Path) -> None:
    (results / "a.txt").write_text("x" * 500 + "open-sesame" + "y" * 100)

    store.keep(RUN, 1, results, Mask(["open-sesame"]))

    kept = store.path(f"file:{RUN}/1/a.txt").read_text()
    assert kept == "x" * 500 + "*" * 11 + "y" * 100


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


@pytest.mark.parametrize(
    "uri",
    ["", "file:", "file:../secret", "file:/etc/passwd", "/etc/passwd", "s3://bucket/x", "file:a\x00b", "file:gone",
     "file:x/../../secret", "https://example.org"],
)  # fmt: skip
def test_a_uri_that_is_none_of_ours_opens_nothing(store: ArtifactStore, tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret").write_text("x")

    with pytest.raises(ArtifactError):
        store.path(uri)
