"""LISTEN and NOTIFY: what just happened, told to all processes at once.

A message is a hint to look, never the news itself: it may come late, twice, or (over a reconnect) not at all. So every
listener also looks by itself now and then, and gets `LOOK_AGAIN` whenever something may have been missed.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import psycopg2  # type: ignore[import-untyped]
from sqlalchemy import Connection

from db.engine import CONNECT_SECONDS, address, readable
from db.prepared import Prepared
from model.backoff import Backoff

CHANNEL = "assay"
LOOK_AGAIN = "*"
BACKOFF = Backoff(first=0.1, longest=2.0)
PROBE_SECONDS = 20.0
"""A server that vanished without a word is noticed by asking it."""
LONGEST_PAYLOAD = 7900
"""PostgreSQL takes less than 8000 bytes."""

Callback = Callable[[str], None]

_NOTIFY = Prepared(
    "SELECT pg_notify(CAST(:channel AS text), payload) FROM unnest(CAST(:payloads AS text[])) AS payload"
)

log = logging.getLogger(__name__)


def notify(conn: Connection, payload: str) -> None:
    """Tell all listeners when this transaction commits. Not for single rows: it makes commits wait for each other."""
    notify_all(conn, [payload])


def notify_all(conn: Connection, payloads: Sequence[str]) -> None:
    """Tell all listeners several things, in order, when this transaction commits."""
    short = [LOOK_AGAIN if len(payload.encode()) > LONGEST_PAYLOAD else payload for payload in payloads]
    _NOTIFY.execute(conn, {"channel": CHANNEL, "payloads": short})


class Listener:
    """One connection in one daemon thread, made at the first `subscribe` and made again whenever it is lost."""

    def __init__(self, url: str, channel: str = CHANNEL, *, title: str = "assay listener") -> None:
        parsed = address(url).set(drivername="postgresql")
        self._dsn = parsed.render_as_string(hide_password=False)
        self._channel = channel
        self._title = title
        self._callbacks: tuple[Callback, ...] = ()
        self._lock = threading.Lock()
        self._listening = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._closed = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Have `callback` called in our thread with each payload; return what ends that. It must not block."""
        with self._lock:
            self._callbacks = (*self._callbacks, callback)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="db-listen", daemon=True)
                self._thread.start()
        return lambda: self._forget(callback)

    def wait_until_listening(self, seconds: float) -> bool:
        """Return True as soon as messages arrive; False when that takes longer than `seconds`."""
        return self._listening.wait(seconds)

    def close(self) -> None:
        """End the thread and the connection."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _forget(self, callback: Callback) -> None:
        with self._lock:
            self._callbacks = tuple(c for c in self._callbacks if c is not callback)

    def _work(self) -> None:
        failures = 0
        while not self._closed:
            try:
                self._listen()
            except psycopg2.Error as exc:
                failures = 1 if self._listening.is_set() else failures + 1
                self._listening.clear()
                pause = BACKOFF.pause(failures)
                log.info("listening was interrupted, it continues in %.1f s: %s", pause, str(exc).strip())
                self._sleep(pause)

    def _listen(self) -> None:
        conn = psycopg2.connect(self._dsn, connect_timeout=CONNECT_SECONDS, application_name=self._title)
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._channel}"')
            self._listening.set()
            self._tell(LOOK_AGAIN)
            while not self._closed:
                self._receive(conn)
        finally:
            with suppress(psycopg2.Error):
                conn.close()

    def _receive(self, conn: psycopg2.extensions.connection) -> None:
        if not readable(PROBE_SECONDS, conn.fileno(), self._wake_read):
            with conn.cursor() as cursor:
                cursor.execute("SELECT 1")
        conn.poll()
        while conn.notifies:
            self._tell(conn.notifies.pop(0).payload)

    def _tell(self, payload: str) -> None:
        for callback in self._callbacks:
            try:
                callback(payload)
            except Exception:
                log.exception("a listener failed on %r; the others are told all the same", payload)

    def _sleep(self, seconds: float) -> None:
        readable(seconds, self._wake_read)
