"""The data of a stack that is ready to start: migrated and deployed once for all tests of a run of pytest, then copied.

Prefect's server, our migrations and the deployments cost 8 s of a core; a copy costs 0.1 s.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from db.embedded import Cluster, Record
from db.programs import runner

FOLDER = "ASSAY_TEST_TEMPLATE"
"""Names the folder of the data. Where it is not set, each stack makes its own."""


def open_folder() -> None:
    """Make the folder, for this process and those that it starts."""
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="assay-template-")


def remove_folder() -> None:
    """Remove the folder, and the data wherever they are."""
    folder = Path(os.environ.pop(FOLDER))
    if _data(folder).exists():
        Cluster(_data(folder)).remove()
    shutil.rmtree(folder, ignore_errors=True)


def prepared(prepare: Callable[[Path], None]) -> Path | None:
    """Return where PostgreSQL's data are, None if there is no folder for them.

    Whoever comes first calls `prepare` with the folder of a stack, while the others wait.
    """
    if FOLDER not in os.environ:
        return None
    folder = Path(os.environ[FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "is-ready").exists():
            prepare(folder / "stack")
            (folder / "is-ready").touch()
    return _data(folder)


def _data(folder: Path) -> Path:
    return folder / "stack" / "state" / "postgres"


class CopiedCluster(Cluster):
    """An embedded PostgreSQL that can begin with the data of another one, which is stopped."""

    def copy(self, source: Path) -> None:
        """Make the data folder, as that of the cluster in `source` is; one that exists is left as it is."""
        with self._locked():
            if self._record() is None:
                self._copy(Cluster(source)._record())

    def _copy(self, source: Record | None) -> None:
        assert source is not None
        person = runner()
        self.folder.chmod(0o711 if person.other else 0o700)
        data = self._area(person) / "data"
        subprocess.run(["cp", "-a", "--reflink=auto", source.data, str(data)], check=True)
        self._write(Record(data=str(data), sockets="", password=source.password))
