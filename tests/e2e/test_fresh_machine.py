"""A plain user's fresh clone, in a folder with blanks and a long name: one command, and the second time offline."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import ROOT
from uv import find_uv_bin

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else"),
]

NOBODY = pwd.getpwnam("nobody")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
LONG = "a clone with blanks and a long name " * 3
FOREIGN = ("PREFECT_", "ASSAY_", "VIRTUAL_ENV", "PYTHON", "DATABASE_URL", "XDG_", "MAKE", "MFLAGS")
UNREACHABLE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
"""A network of its own that holds nothing but the loopback interface."""


class Clone:
    """A clone that belongs to `nobody`, who has no home and no network settings but the machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / LONG.strip()
        self.home = self.folder.with_name("home")
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        (self.home / "bin").mkdir(parents=True)
        shutil.copy2(find_uv_bin(), self.home / "bin" / "uv")  # pip would do too, and take a minute more
        subprocess.run(["chown", "-R", f"{NOBODY.pw_uid}:{NOBODY.pw_gid}", str(folder)], check=True)

    def run(self, *command: str, offline: bool = False) -> "subprocess.CompletedProcess[str]":
        become = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
        prefix = ALONE if offline and may_be_alone() else []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {"PATH": f"{self.home}/bin:{PATH}", "HOME": str(self.home), "USER": NOBODY.pw_name}
        return subprocess.run(
            [*prefix, *become, *command],
            cwd=self.folder,
            env=kept | own | (UNREACHABLE if offline else {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


def may_be_alone() -> bool:
    """Say whether this machine lets us have a network of our own; a container may not."""
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def clone() -> Iterator[Clone]:
    folder = Path(tempfile.mkdtemp(prefix="assay-clone-"))
    folder.chmod(0o755)
    made = Clone(folder)
    yield made
    if (made.folder / ".assay").exists():
        made.run("make", "down")
    shutil.rmtree(folder)


def of_nobody(folder: Path) -> list[str]:
    """Return the processes of `nobody` that are started in or from the clone."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and process.stat().st_uid == NOBODY.pw_uid:
                command = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if os.fsencode(folder) in command:
                    found.append(process.name)
        except OSError:
            continue
    return found


def test_one_command_sets_all_up_and_the_second_start_needs_no_network(clone: Clone) -> None:
    if clone.run("sh", "-c", "python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'").returncode != 0:
        assert not os.environ.get("CI"), "CI must have a Python that a plain user can run"
        pytest.skip("no Python here that a plain user can run: apt-get install python3 python3-venv")

    first = clone.run("make", "run", "ONCE=1")
    second = clone.run("make", "run", "ONCE=1", offline=True)

    assert first.returncode == 0, first.stderr[-4000:]
    assert "setup: making .venv" in first.stderr
    assert second.returncode == 0, second.stderr[-4000:]
    assert "setup: " not in second.stderr
    for done in (first, second):
        assert "4 suites" in done.stderr
        assert "completed" in done.stdout
    assert of_nobody(clone.folder) == []
    assert (clone.folder / ".assay").stat().st_uid == NOBODY.pw_uid
