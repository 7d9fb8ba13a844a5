"""The state folder: one holder at a time, secrets for its owner only, a record that survives everything."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.stack.state import HeldError, PartRecord, StackRecord, StateFolder, rotate, this_process, with_part
from db.programs import runner

HOLD = """
import sys, pathlib
from cli.stack.state import StateFolder
with StateFolder(path=pathlib.Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""

NO_SPACE = """
import pathlib, resource, sys
from cli.stack.state import StateFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
StateFolder(path=pathlib.Path(sys.argv[1])).api_key()
"""


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(path=tmp_path / "a state folder")
    made.prepare()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    assert StateFolder.find({"ASSAY_STATE": str(tmp_path)}).path == tmp_path
    assert StateFolder.find({}).path.name == ".assay"


def test_nobody_else_can_look_into_the_folder(folder: StateFolder) -> None:
    """Root leaves the way through open for the user of PostgreSQL; everything inside is closed."""
    assert mode(folder.path) == (0o710 if os.geteuid() == 0 else 0o700)
    assert folder.path.stat().st_gid == (runner().gid if os.geteuid() == 0 else os.getegid())
    assert {mode(inner) for inner in folder.path.iterdir()} == {0o700}


def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    """A folder that somebody made by hand keeps its mode: it may be more than ours."""
    old, by_hand = StateFolder(path=tmp_path / "old"), StateFolder(path=tmp_path / "by hand")
    for one, left in ((old, 0o711), (by_hand, 0o755)):
        for inner in (one.log, one.path / "postgres"):
            inner.mkdir(parents=True)
        for file in (one.path / "stack.json", one.lock_file, one.log / "api.log", one.path / "postgres" / "server.log"):
            file.write_text("what it wrote")
            file.chmod(0o644)
        (one.path / "a script of theirs").touch(mode=0o755)
        one.log.chmod(0o755)
        one.path.chmod(left)
        one.prepare()

    assert mode(old.path) == (0o710 if os.geteuid() == 0 else 0o711)
    assert mode(by_hand.path) == 0o755
    for one in (old, by_hand):
        assert mode(one.log) == 0o700
        assert {mode(file) for file in one.path.rglob("*") if file.is_file() and "theirs" not in file.name} == {0o600}
        assert mode(one.path / "a script of theirs") == 0o755


def test_what_is_written_later_is_for_its_owner_only(folder: StateFolder) -> None:
    former = os.umask(0)
    try:
        folder.write(StackRecord(supervisor=this_process()))
        with folder.held():
            pass
    finally:
        os.umask(former)

    assert {mode(file) for file in (folder.path / "stack.json", folder.lock_file)} == {0o600}


def test_the_key_is_made_once_for_its_owner_only(folder: StateFolder) -> None:
    key = folder.api_key()

    assert len(key) > 40
    assert folder.api_key() == key
    assert mode(folder.key_file) == 0o600


def test_the_credential_of_prefect_is_made_once_for_its_owner_only(folder: StateFolder) -> None:
    """Also in a state folder that an older version made, which has a key and no credential."""
    key = folder.api_key()
    credential = folder.prefect_credential()

    assert credential.startswith("assay:")
    assert len(credential) > 40
    assert credential.removeprefix("assay:") not in key
    assert folder.prefect_credential() == credential
    assert mode(folder.prefect_credential_file) == 0o600


def test_callers_at_once_get_one_key(folder: StateFolder) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: folder.api_key(), range(32)))

    assert keys == {folder.key_file.read_text().strip()}
    assert list(folder.path.glob("api-key?*")) == []


def test_a_key_that_cannot_be_written_leaves_no_file(folder: StateFolder) -> None:
    """An empty file would be taken for the key ever after."""
    full = subprocess.run(
        [sys.executable, "-c", NO_SPACE, str(folder.path)], capture_output=True, text=True, check=False
    )

    assert "File too large" in full.stderr
    assert list(folder.path.glob("api-key*")) == []
    assert len(folder.api_key()) > 40


def test_a_second_holder_is_told_who_holds_the_folder(folder: StateFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(HeldError, match=f"process {holder.pid}"), folder.held():
            pass
        holder.kill()
        holder.wait()

        with folder.held():
            assert folder.lock_file.read_text() == str(os.getpid())


def test_the_record_comes_back_as_it_was_written(folder: StateFolder) -> None:
    record = StackRecord(supervisor=this_process(), phase="ready", started_at=12.5, api_url="http://127.0.0.1:4300")
    record = with_part(record, PartRecord(name="api", identity=this_process(), restarts=2))
    record = with_part(record, PartRecord(name="worker"))

    folder.write(record)

    assert folder.read() == record
    assert record.running
    assert record.part("api") == PartRecord(name="api", identity=this_process(), restarts=2)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"supervisor": 1}'])
def test_a_damaged_record_is_no_record(folder: StateFolder, text: str) -> None:
    (folder.path / "stack.json").write_text(text)

    assert folder.read() is None


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("x" * 100)
    rotate(log, limit=1000)
    assert log.exists()

    rotate(log, limit=10)

    assert not log.exists()
    assert (tmp_path / "api.log.1").read_text() == "x" * 100
