import subprocess
import tarfile
from pathlib import Path

import pytest

from cli.failure import UsageError
from cli.pack import files, pack


def tree(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files(folder)]


def test_the_same_files_give_the_same_bytes_wherever_and_whenever_they_were_written(tmp_path: Path) -> None:
    texts = {"b": "2", "a": "1", "sub__c": "3"}
    one, two = tree(tmp_path / "one", **texts), tree(tmp_path / "two", **dict(reversed(texts.items())))

    packed = [pack(one), pack(two)]

    assert packed[0].sha256 == packed[1].sha256
    assert packed[0].file.read_bytes() == packed[1].file.read_bytes()
    for each in packed:
        each.file.unlink()


def test_what_is_packed_can_be_unpacked_with_its_modes(tmp_path: Path) -> None:
    folder = tree(tmp_path / "content", run="echo", sub__note="n")
    (folder / "run").chmod(0o755)

    packed = pack(folder)

    with tarfile.open(packed.file) as tar:
        members = {member.name: (member.mode, member.uid, member.mtime) for member in tar}
    packed.file.unlink()
    assert members == {"run": (0o755, 0, 0), "sub/note": (0o644, 0, 0)}


def test_the_ignore_file_leaves_out_and_brings_back(tmp_path: Path) -> None:
    folder = tree(
        tmp_path, keep="", a_log="", sub__x_log="", build__out="", deep__build__out="", docs__a="", docs__b=""
    )
    (folder / ".assayignore").write_text("# comment\n\n*_log\nbuild/\ndocs/*\n!docs/b\n")

    assert names(folder) == [".assayignore", "keep", "docs/b"]


@pytest.mark.parametrize(
    "patterns",
    [
        "/data",
        "**/data",
        "data",
        "sub/*/data",
        "sub/**",
        "sub/**\n!sub/deep/\n!sub/deep/note",
        "sub/\n!sub/deep/note",  # nothing comes back out of a folder that is left out
        "sub\n!sub/deep/note",
        "sub/*\n!sub/deep/",
        "*\n!*/\n!note",
        "[d-m]*",
        "\\#note\ndata  ",
        "no?e\n# sub",
        "deep/",
    ],
)
def test_the_patterns_mean_what_they_mean_to_git(tmp_path: Path, patterns: str) -> None:
    folder = tree(tmp_path, data="", sub__data="", sub__deep__data="", sub__deep__note="", note="")
    (folder / ".assayignore").write_text(patterns)
    subprocess.run(["git", "init", "--quiet", folder], check=True)

    told = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-from=.assayignore"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip

    assert sorted(names(folder)) == sorted(told.stdout.split())


def test_a_pattern_that_means_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".assayignore").write_text("!\n")

    with pytest.raises(UsageError, match=r"\.assayignore cannot be read"):
        names(tmp_path)


def test_repositories_caches_and_environments_are_never_packed(tmp_path: Path) -> None:
    folder = tree(tmp_path, test="", __git__config="", __venv__x="")
    for name in (".git/config", "__pycache__/m.pyc", ".venv/bin/python", "left.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")

    assert not [name for name in names(folder) if name.endswith(("pyc", "config", "python")) and name[0] in "._l"]


def test_links_are_left_out_since_they_may_lead_elsewhere(tmp_path: Path) -> None:
    folder = tree(tmp_path / "content", real="")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to(tmp_path)

    assert names(folder) == ["real"]


def test_too_much_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.pack.MEMBER_LIMIT", 1)

    with pytest.raises(UsageError, match="assayignore"):
        pack(tree(tmp_path, a="", b=""))
    with pytest.raises(UsageError, match="not a folder"):
        pack(tmp_path / "missing")


def test_links_that_stay_in_the_folder_are_followed(tmp_path: Path) -> None:
    folder = tree(tmp_path / "content", data__a="1", tests__note="2")
    (folder / "again").symlink_to("tests/note")
    (folder / "tests" / "data").symlink_to("../data", target_is_directory=True)
    (folder / "absolute").symlink_to(folder / "data" / "a")

    packed = pack(folder)

    with tarfile.open(packed.file) as tar:
        members = {member.name: (member.isreg(), tar.extractfile(member).read()) for member in tar}  # type: ignore[union-attr]  # all are files
    packed.file.unlink()
    one, two = (True, b"1"), (True, b"2")
    assert members == {"absolute": one, "again": two, "data/a": one, "tests/note": two, "tests/data/a": one}
    assert packed.left_out == ()


def test_links_that_cannot_be_followed_are_named_with_the_reason(tmp_path: Path) -> None:
    folder = tree(tmp_path / "content", keep="", sub__deep__note="", _venv__bin="")
    (folder / ".assayignore").write_text("_venv/\nhidden\n")
    tree(tmp_path / "elsewhere", secret="")
    targets = {
        "out": "../elsewhere/secret",
        "out-folder": "../elsewhere",
        "gone": "nothing",
        "itself": "itself",
        "sub/deep/up": "..",
        "all": ".",
        "ignored": "_venv/bin",
        "hidden": "../elsewhere/secret",
    }
    for link, target in targets.items():
        (folder / link).symlink_to(target)

    packed = pack(folder)

    packed.file.unlink()
    assert dict(line.split(": ") for line in packed.left_out) == {
        "out": "it leads out of the folder",
        "out-folder": "it leads out of the folder",
        "gone": "its target does not exist",
        "itself": "its target does not exist",
        "sub/deep/up": "it leads to a folder that it is in",
        "all": "it leads to a folder that it is in",
        "ignored": "its target is ignored",
    }
    assert names(folder) == [".assayignore", "keep", "sub/deep/note"]


def test_links_to_each_other_come_to_an_end(tmp_path: Path) -> None:
    folder = tree(tmp_path, a__x="1", b__y="2")
    (folder / "a" / "b").symlink_to("../b")
    (folder / "b" / "a").symlink_to("../a")

    assert names(folder) == ["a/x", "a/b/y", "b/y", "b/a/x"]


def test_a_folder_that_is_given_by_a_link_is_packed(tmp_path: Path) -> None:
    folder = tree(tmp_path / "content", data__a="1")
    (folder / "link").symlink_to("data/a")
    (tmp_path / "given").symlink_to(folder, target_is_directory=True)

    assert names(tmp_path / "given") == ["link", "data/a"]
