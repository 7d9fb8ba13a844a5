"""What every store of artifacts does: files that a run leaves are kept, masked, and nothing else is."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from cluster.artifacts import LEFT_OUT, ArtifactStore
from model.ids import ExecutionId
from model.mask import Mask
from model.ports import ArtifactError, Artifacts
from model.result import ArtifactType

RUN = ExecutionId(UUID(int=7))
STORES: dict[str, Callable[[Path], Artifacts]] = {"files": lambda folder: ArtifactStore(folder / "artifacts")}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return STORES[request.param](tmp_path)


def test_each_file_is_kept_with_its_kind_and_size(store: Artifacts, results: Path) -> None:
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


def test_keeping_again_does_the_same(store: Artifacts, results: Path) -> None:
    (results / "a").write_text("1")
    first = store.keep(RUN, 1, results)

    assert store.keep(RUN, 1, results) == first
    assert store.path(first[0].uri).read_text() == "1"


def test_what_another_attempt_left_stays(store: Artifacts, results: Path) -> None:
    (results / "a").write_text("1")
    first = store.keep(RUN, 1, results)
    (results / "a").write_text("2")
    second = store.keep(RUN, 2, results)

    assert [store.path(kept.uri).read_text() for kept in (*first, *second)] == ["1", "2"]


def test_links_and_other_things_are_left_out_and_named(store: Artifacts, results: Path) -> None:
    (results / "link").symlink_to("/etc/passwd")
    (results / "folder").symlink_to("/etc")
    os.mkfifo(results / "pipe")
    (results / "back\\slash").write_text("")
    (results / "new\nline").write_text("")
    os.close(os.open(os.fsencode(results) + b"/\xff", os.O_CREAT))
    (results / LEFT_OUT).write_text("ours")

    kept = store.keep(RUN, 1, results)

    assert [artifact.name for artifact in kept] == [LEFT_OUT]
    told = store.path(kept[0].uri).read_text()
    assert "link: a symbolic link" in told
    assert "folder: a symbolic link" in told
    assert "pipe: not a regular file" in told
    assert "new\\nline: its name" in told
    assert len(told.splitlines()) == 8


def test_a_link_in_place_of_the_folder_leads_nowhere(store: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to("/etc")

    assert store.keep(RUN, 1, tmp_path / "away") == []


def test_a_folder_that_is_gone_leaves_nothing(store: Artifacts, tmp_path: Path) -> None:
    assert store.keep(RUN, 1, tmp_path / "gone") == []


def test_secrets_are_masked_in_what_is_kept(store: Artifacts, results: Path) -> None:
    (results / "a.txt").write_text("x" * 500 + "open-sesame" + "y" * 100)

    kept = store.keep(RUN, 1, results, Mask(["open-sesame"]))

    assert store.path(kept[0].uri).read_text() == "x" * 500 + "*" * 11 + "y" * 100


@pytest.mark.parametrize(
    "uri",
    ["", "file:", "file:../secret", "file:/etc/passwd", "/etc/passwd", "s3://bucket/x", "file:a\x00b", "file:gone",
     "file:x/../../secret", "https://example.org"],
)  # fmt: skip
def test_a_uri_that_is_none_of_ours_opens_nothing(store: Artifacts, tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret").write_text("x")

    for look in (store.path, store.open):
        with pytest.raises(ArtifactError):
            look(uri)
