"""The embedded PostgreSQL: made, started, adopted and stopped as one process group of its own.

The server outlives whoever started it and is known by its data folder, so that the next one adopts it. It listens on a
Unix socket in a folder that only its user can enter, never on the network, and asks for a password besides. An open
file with a lock goes with it: while any process of it lives, no second server can be started on the same data.

As root PostgreSQL runs as another user (db/programs.py). No mode of a folder above ours is changed; where that user
cannot reach our folder the data live in /var/lib/assay, and `cluster.json` in our folder says where.
"""

import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import psycopg2  # type: ignore[import-untyped]
from psycopg2 import sql
from sqlalchemy.engine import URL

from db.errors import ClusterError
from db.programs import ELSEWHERE, Person, major, passable, programs, runner

OWNER = "assay"
PORT = "5432"
"""Only part of the socket's name: nothing listens on the network."""
MAX_CONNECTIONS = 300
LONGEST_SOCKET = 107
START_SECONDS = 120.0
"""Recovery after a crash reads what was not yet written; it is waited for as long as the process lives."""
LOCK_SECONDS = 15.0
STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
"""Fast, immediate, and by force."""
LARGEST_LOG = 10_000_000
SETTINGS = {
    "max_connections": str(MAX_CONNECTIONS),
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "log_line_prefix": "%m [%p] ",
    "autovacuum_naptime": "15s",
}
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}
"""A commit survives the death of the server all the same, only not that of the machine."""
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `cluster.json` holds, in a file that only its owner can read."""

    data: str
    sockets: str
    password: str


class Cluster:
    """One embedded PostgreSQL, known by the folder that is its home. `durable=False` is for tests."""

    def __init__(self, folder: Path, *, durable: bool = True, elsewhere: Path = ELSEWHERE) -> None:
        self.folder = folder.absolute()
        self._durable = durable
        self._elsewhere = elsewhere

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The process of the running server, None if it does not run."""
        record = self._record()
        return _postmaster(Path(record.data)) if record else None

    def alive(self) -> bool:
        """Return whether the server runs (it may still be recovering)."""
        return self.pid is not None

    def url(self, database: str) -> str:
        """Return the address of a database, for SQLAlchemy and psycopg2."""
        return self._url("postgresql+psycopg2", database)

    def async_url(self, database: str) -> str:
        """Return the address of a database, for SQLAlchemy and asyncpg."""
        return self._url("postgresql+asyncpg", database)

    def create(self) -> None:
        """Make the data folder, whole or not at all; one that exists is left as it is."""
        with self._locked():
            self._create()

    def start(self) -> None:
        """Start the server, or adopt the running one of the same folder, and wait until it answers."""
        with self._locked():
            record = self._create()
            if self.pid is not None and not (Path(record.sockets) / f".s.PGSQL.{PORT}").exists():
                _stop(Path(record.data))  # its socket was removed: nobody can reach it any more
            if self.pid is None:
                record = self._with_sockets(record)
                self._launch(record)
            self._wait_until_it_answers()

    def stop(self) -> None:
        """Stop the server; its clients are disconnected. Nothing happens if it does not run."""
        with self._locked():
            record = self._record()
            if record:
                _stop(Path(record.data))

    def remove(self) -> None:
        """Stop the server and delete everything, the data too."""
        self.stop()
        record = self._record()
        if record:
            shutil.rmtree(record.sockets, ignore_errors=True)
            area = Path(record.data).parent
            shutil.rmtree(record.data if area == self.folder else area, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name: str, *, extensions: tuple[str, ...] = (), template: str | None = None) -> None:
        """Make a database unless there is one of that name, with its extensions."""
        with self._cursor("postgres") as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                with suppress(psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                    cursor.execute(command.format(sql.Identifier(name), sql.Identifier(template or "template1")))
        if extensions:
            with self._cursor(name) as cursor:
                for extension in extensions:
                    cursor.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))

    def drop_database(self, name: str) -> None:
        """Delete a database; who uses it is disconnected."""
        with self._cursor("postgres") as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _record(self) -> Record | None:
        try:
            return Record(**json.loads((self.folder / "cluster.json").read_text()))
        except FileNotFoundError:
            return None

    def _write(self, record: Record) -> Record:
        new = self.folder / "cluster.json.new"
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(record)))
        new.replace(self.folder / "cluster.json")
        return record

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time create, start or stop."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _create(self) -> Record:
        record = self._record()
        person = runner()
        if record is not None:
            _check_version(Path(record.data), programs(person, self._elsewhere))
            return record
        self.folder.chmod(0o711 if person.other else 0o700)
        record = Record(data=str(self._area(person) / "data"), sockets="", password=secrets.token_urlsafe(24))
        self._initialise(person, record)
        return self._write(record)

    def _area(self, person: Person) -> Path:
        """Return the folder of the data: ours, or one elsewhere when the server's user cannot reach ours."""
        if person.reaches(self.folder):
            return self.folder
        area = Path(tempfile.mkdtemp(prefix="cluster-", dir=passable(self._elsewhere)))
        area.chmod(0o711)
        return area

    def _initialise(self, person: Person, record: Record) -> None:
        data = Path(record.data)
        new, password = data.with_name("data.new"), data.with_name("password")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(record.password)
        person.own(new)
        person.own(password)
        done = person.run(self._initdb(person, new, password), data.parent)
        password.unlink()
        if done.returncode != 0:
            raise ClusterError(f"PostgreSQL could not make its data folder {new}: {done.stderr.strip()}")
        new.rename(data)

    def _initdb(self, person: Person, data: Path, password: Path) -> list[str]:
        options = [] if self._durable else ["--no-sync"]
        for name, value in SETTINGS.items():
            options += ["-c", f"{name}={value}"]
        return [
            str(programs(person, self._elsewhere) / "initdb"),
            *("-D", str(data), "-U", OWNER, f"--pwfile={password}", "--auth=scram-sha-256"),
            *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *options,
        ]

    def _with_sockets(self, record: Record) -> Record:
        """Return the record with a socket folder that exists and is short enough."""
        person = runner()
        sockets = Path(record.sockets or Path(record.data).with_name("socket"))
        if not _usable(sockets):
            base = passable(self._elsewhere) if person.other else Path(tempfile.gettempdir())
            base = base if _usable(base / "assay-12345678") else Path("/tmp")  # noqa: S108  mkdtemp makes it private
            sockets = Path(tempfile.mkdtemp(prefix="assay-", dir=base))
        sockets.mkdir(mode=0o700, exist_ok=True)
        if sockets.stat().st_uid not in {os.geteuid(), person.uid}:
            raise ClusterError(f"{sockets} belongs to somebody else; delete it, or set TMPDIR to another folder")
        person.own(sockets)
        return self._write(Record(data=record.data, sockets=str(sockets), password=record.password))

    def _launch(self, record: Record) -> None:
        data, person = Path(record.data), runner()
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        settings = {"unix_socket_directories": record.sockets} | ({} if self._durable else FORGETFUL)
        command = [str(programs(person, self._elsewhere) / "postgres"), "-D", str(data), "-p", PORT]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.log.touch(mode=0o600)  # it quotes statements
        with _held(data.with_name("server.lock")) as lock, self.log.open("ab") as log:
            _forget_stale(record)
            # The shell ends at once, so that the server is nobody's child; its streams go to the log.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" >&2 &', "sh", *command],
                cwd=data.parent,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
                umask=0o077,
                check=True,
                user=person.user,
                group=person.group,
                extra_groups=person.groups,
            )

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_SECONDS
        started = time.monotonic()
        while True:
            try:
                with self._cursor("postgres"):
                    return
            except psycopg2.OperationalError as exc:
                late = time.monotonic() > end
                dead = self.pid is None and time.monotonic() > started + 1
                if late or dead:
                    raise ClusterError(f"PostgreSQL did not start: {self._last_words()}") from exc
            time.sleep(0.02)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return f"{' | '.join(lines[-4:])} (all of it: {self.log})"

    @contextmanager
    def _cursor(self, database: str) -> Iterator["psycopg2.extensions.cursor"]:
        conn = psycopg2.connect(**self._address(database), connect_timeout=5)
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                yield cursor
        finally:
            conn.close()

    def _address(self, database: str) -> dict[str, str]:
        record = self._record()
        if record is None or not record.sockets:
            raise ClusterError(f"the embedded PostgreSQL of {self.folder} has not been started yet: run assay up")
        return {
            "host": record.sockets,
            "port": PORT,
            "user": OWNER,
            "password": record.password,
            "dbname": database,
        }

    def _url(self, driver: str, database: str) -> str:
        at = self._address(database)
        url = URL.create(
            driver,
            username=at["user"],
            password=at["password"],
            database=database,
            query={"host": at["host"], "port": at["port"]},
        )
        return url.render_as_string(hide_password=False)


def _usable(sockets: Path) -> bool:
    """Return whether a socket can be made there: its path is limited, and commas and blanks have a meaning."""
    return len(os.fsencode(sockets / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET and bool(_PLAIN.fullmatch(str(sockets)))


def _check_version(data: Path, folder: Path) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ClusterError(
            f"the data of PostgreSQL should be in {data} and are not there. Bring them back, or delete "
            "the folder postgres in the state folder to begin anew."
        ) from None
    if found != major(folder):
        raise ClusterError(
            f"the data in {data} were written by PostgreSQL {found}, the programs are of {major(folder)}. Dump them "
            f"with PostgreSQL {found} and restore them, or move that folder away to begin anew."
        )


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Lock a file for the server that is started meanwhile: it inherits the open file, and the lock with it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _until(lambda: _try_lock(lock), LOCK_SECONDS):
            raise ClusterError(
                f"another PostgreSQL still works on {path.parent} (perhaps in another container). Stop that one first."
            )
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_file(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _postmaster(data: Path) -> int | None:
    """Return the process of the server on `data`. A pid file may be stale, and its number somebody else's by now."""
    pid = _pid_file(data)
    try:
        return pid if pid is not None and str(data) in psutil.Process(pid).cmdline() else None
    except (psutil.Error, ValueError):  # there is no such process, or no process has such a number
        return None


def _forget_stale(record: Record) -> None:
    """Remove the pid file and the socket of a server that is gone; called with the lock, so that none can live.

    PostgreSQL itself would refuse to start where the number belongs to another process by now, or to a zombie.
    """
    data, sockets = Path(record.data), Path(record.sockets)
    if _postmaster(data) is None:
        for stale in (data / "postmaster.pid", *sockets.glob(f".s.PGSQL.{PORT}*")):
            stale.unlink(missing_ok=True)


def _stop(data: Path) -> None:
    for number, seconds in STOP_SIGNALS:
        pid = _postmaster(data)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # a process that was stopped would not see the other signal
        if _until(lambda: _postmaster(data) is None, seconds):
            return
    raise ClusterError(f"PostgreSQL on {data} (process {_postmaster(data)}) does not end; look at its log")


def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
