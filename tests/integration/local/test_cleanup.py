"""What is forgotten of an attempt after its end, however a test has left its folders."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness.attempts import ROOT, Bench

from cluster import removal
from cluster.local import cleanup, processes
from cluster.local.processes import LaunchSpec

RECORDS = {"lock", "spec.json", "start.json", "usage.json", "exit.json", "shim.log"}


def names(spec: LaunchSpec) -> set[str]:
    return {path.name for path in spec.folder.iterdir()}


def test_the_small_records_stay_and_the_rest_goes(bench: Bench) -> None:
    spec = bench.spec(
        "sh", "-c", "echo sesame; mkdir -p a/b ~/c; touch a/b/c $ASSAY_RESULTS_DIR/r ../theirs; mkdir ../d"
    )
    record = bench.run(spec)
    handle = processes.adopt(spec.folder)

    assert cleanup.forget(spec.folder)

    assert names(spec) <= RECORDS
    assert processes.exit_record(spec.folder) == record
    assert processes.adopt(spec.folder) == handle
    assert processes.launch(spec) == handle
    assert "work" not in names(spec)


def test_forgetting_again_or_what_never_was_does_no_harm(bench: Bench, tmp_path: Path) -> None:
    spec = bench.spec("true")
    bench.run(spec)

    assert [cleanup.forget(spec.folder) for _ in range(2)] == [True, True]
    assert cleanup.forget(tmp_path / "never")


def test_links_are_removed_and_what_they_lead_to_is_not(bench: Bench, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o500)
    (precious / "file").write_text("x")
    mode = precious.stat().st_mode
    spec = bench.spec(
        "sh", "-c", f"ln -s {precious} a; ln -s {precious}/file b; ln {precious}/file c; ln -s . d; rmdir ~;"
        f" ln -s {precious} ~; mv ../exit.json x; rm -f ../spec.json; ln -s {precious}/file ../spec.json",
    )  # fmt: skip
    bench.run(spec)

    assert cleanup.forget(spec.folder)

    assert names(spec) <= RECORDS - {"spec.json"}
    assert (precious / "file").read_text() == "x"
    assert precious.stat().st_mode == mode


def test_closed_folders_strange_names_and_great_depth_are_no_obstacle(tmp_path: Path) -> None:
    """By a user whom modes do bind, if these tests run as root."""
    code = """
import os, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from cluster.local import cleanup
folder = Path(sys.argv[2])
if os.geteuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.mkdir(folder / "run")
os.chdir(folder / "run")
os.makedirs("work/shut/inner/most")
for name in (b"new\\nline", b"\\xff", b"-rf", b".gone.x", b"..."):
    os.mkdir(b"work/" + name)
    open(b"work/" + name + b"/" + name, "w").close()
os.mkfifo("work/pipe")
for closed in ("work/shut/inner/most", "work/shut/inner", "work/shut"):
    os.chmod(closed, 0)
os.mkdir("results")
os.chdir("results")
for _ in range(1200):  # longer than PATH_MAX, deeper than any recursion
    os.mkdir("d" * 30); os.chdir("d" * 30)
os.chdir("/")
os.chmod(folder / "run" / "work", 0)
os.chmod(folder / "run", 0o500)
assert cleanup.forget(folder / "run")
assert os.listdir(folder / "run") == []
"""
    as_nobody(code, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away and mounts")
def test_what_is_not_ours_stays_and_is_told(tmp_path: Path) -> None:
    code = """
import os, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from cluster.local import cleanup
folder = Path(sys.argv[2])
(folder / "work" / "theirs").mkdir(parents=True)
(folder / "work" / "theirs" / "file").touch()
(folder / "work" / "ours").mkdir()
os.chown(folder, 65534, 65534); os.chown(folder / "work", 65534, 65534); os.chown(folder / "work" / "ours", 65534, -1)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
assert not cleanup.forget(folder)
left = [Path(at, name).name for at, folders, files in os.walk(folder) for name in files]
assert left == ["file"], left
"""
    as_nobody(code, tmp_path)


def test_a_mount_that_a_test_has_left_is_not_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    inner = tmp_path / "run" / "work" / "deep" / "mount"
    inner.mkdir(parents=True)
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\nfrom pathlib import Path\nfrom cluster.local import cleanup\n"
        f"sys.exit(cleanup.forget(Path({str(tmp_path / 'run')!r})))"
    )
    command = 'mount --bind "$0" "$1" || exit 77; exec "$2" -c "$3"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, precious, inner, sys.executable, script], check=False
    )
    if done.returncode not in {0, 1}:
        pytest.skip("may not mount here")

    assert done.returncode == 0
    assert (precious / "file").exists()


def test_a_removal_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{removal.TRASH}1" / "deep").mkdir(parents=True)

    assert cleanup.forget(tmp_path)

    assert list(tmp_path.iterdir()) == []


def as_nobody(code: str, folder: Path) -> None:
    """Run a piece of Python that may change its user, with our root and `folder` as arguments."""
    for parent in (folder, *folder.parents):  # pytest keeps its folders to itself
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    argv = [sys.executable, "-c", code, str(ROOT), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
