"""Content is put in its place whole or not at all, and never outside of it."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.contents import ContentStore
from cluster.local import content
from cluster.local.content import ContentError, Sources
from model.content import ArtifactContent, InlineContent

STRANGE = ["../out", "/out", "a/../../out", "..", "a\\b", "a\x00b", ""]


def archive(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        fill(tar)
    return buffer.getvalue()


def member(name: str, data: bytes = b"", **more: object) -> Callable[[tarfile.TarFile], None]:
    def fill(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))

    return fill


def unpack(tmp_path: Path, packed: bytes) -> Path:
    sha256 = hashlib.sha256(packed).hexdigest()
    (tmp_path / sha256).write_bytes(packed)
    content.place(ArtifactContent(sha256=sha256), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))
    return tmp_path / "work"


def test_inline_files_are_written_as_they_are(tmp_path: Path) -> None:
    files = {"a/b.txt": "ü\r\n", "run.sh": "#!/bin/sh\n", "c": ""}

    placed = content.place(
        InlineContent(files=files, path="a"), tmp_path / "work", Sources(contents=ContentStore(tmp_path))
    )

    assert {name: (tmp_path / "work" / name).read_bytes().decode() for name in files} == files
    assert placed.entry == tmp_path / "work" / "a"
    assert os.access(tmp_path / "work" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "work" / "c", os.X_OK)


@pytest.mark.parametrize("name", STRANGE)
def test_an_inline_file_outside_is_refused_and_nothing_is_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentError, match="files"):
        content.place(
            InlineContent(files={"ok": "", name: ""}), tmp_path / "work", Sources(contents=ContentStore(tmp_path))
        )

    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("files", [{"a": "", "a/b": ""}, {"a/b": "", "a": ""}, {"x" * 300: ""}, {"a": "", "./a": ""}])
def test_inline_files_that_cannot_all_be_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(ContentError, match="cannot be written"):
        content.place(InlineContent(files=files), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))


def test_inline_files_of_more_than_a_mebibyte_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="send them as an artifact"):
        content.place(
            InlineContent(files={"a": "ü" * 2**19, "b": "x"}),
            tmp_path / "work",
            Sources(contents=ContentStore(tmp_path)),
        )


def test_what_is_in_place_is_not_placed_again(tmp_path: Path) -> None:
    """The test may have begun to change it when another worker takes the run over."""
    wanted = InlineContent(files={"a": "first"})
    content.place(wanted, tmp_path / "work", Sources(contents=ContentStore(tmp_path)))
    (tmp_path / "work" / "a").write_text("changed by the test")

    content.place(wanted, tmp_path / "work", Sources(contents=ContentStore(tmp_path)))

    assert (tmp_path / "work" / "a").read_text() == "changed by the test"


def test_what_was_left_half_done_is_done_anew(tmp_path: Path) -> None:
    (tmp_path / "work.draft").mkdir()
    (tmp_path / "work.draft" / "half").write_text("")

    content.place(InlineContent(files={"a": ""}), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))

    assert [file.name for file in (tmp_path / "work").iterdir()] == ["a"]


@pytest.mark.parametrize("path", ["gone", "../out", "/etc", "a/../..", ""])
def test_an_entry_that_is_not_inside_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ContentError, match="path"):
        content.place(
            InlineContent(files={"a": ""}, path=path), tmp_path / "work", Sources(contents=ContentStore(tmp_path))
        )


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member("tests", type=tarfile.DIRTYPE, mode=0o755)(tar)
        member("tests/test_it.py", b"pass", mode=0o4777)(tar)

    work = unpack(tmp_path, archive(fill))

    assert (work / "tests" / "test_it.py").read_bytes() == b"pass"
    assert (work / "tests" / "test_it.py").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("name", [name for name in STRANGE if name and "\x00" not in name])
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentError, match="archive"):
        unpack(tmp_path, archive(member(name, b"x")))

    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(ContentError, match="only files and folders"):
        unpack(tmp_path, archive(member("a", type=kind, linkname="/etc/passwd")))


def test_an_archive_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MOST_MEMBERS", 3)

    with pytest.raises(ContentError, match="more than 3 files"):
        unpack(tmp_path, archive(lambda tar: [member(str(n))(tar) for n in range(4)] and None))


def test_a_bomb_is_refused_by_what_it_says_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros pack a thousand times; the sizes in the headers are summed before anything is written."""
    monkeypatch.setattr(content, "LARGEST_UNPACKED", 5 * 2**20)

    with pytest.raises(ContentError, match="unpacks to more than 5242880"):
        unpack(tmp_path, archive(lambda tar: [member(str(n), bytes(2**20))(tar) for n in range(6)] and None))


def test_a_header_that_claims_to_be_huge_is_not_believed(tmp_path: Path) -> None:
    info = tarfile.TarInfo("@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 300 * 2**20
    packed = gzip.compress(info.tobuf() + bytes(20 * 2**20))

    with pytest.raises(ContentError, match="not a usable tar"):
        unpack(tmp_path, packed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:40] + b"\xff" + data[41:],
        lambda _: b"no archive",
        lambda _: b"",
    ],
    ids=["cut", "changed", "other", "empty"],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ContentError, match="not a usable tar"):
        unpack(tmp_path, spoil(archive(member("a", os.urandom(50_000)))))


def test_what_was_kept_under_another_sum_is_refused(tmp_path: Path) -> None:
    (tmp_path / ("a" * 64)).write_bytes(b"something else")

    with pytest.raises(ContentError, match="something else; send it again"):
        content.place(ArtifactContent(sha256="a" * 64), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))


def test_what_was_never_sent_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="was not sent; PUT"):
        content.place(ArtifactContent(sha256="a" * 64), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))


def test_too_much_packed_content_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / ("a" * 64)).open("wb") as file:
        file.truncate(content.LARGEST_PACKED + 1)

    with pytest.raises(ContentError, match="at most 52428800"):
        content.place(ArtifactContent(sha256="a" * 64), tmp_path / "work", Sources(contents=ContentStore(tmp_path)))
