"""Follows the logs of many keepers in one thread, each by one request: what tests print, while they run.

A stream is a shortcut and nothing depends on it: each piece says where it belongs, a piece that does not continue the
file is left out, and what was missed is brought by the next program that runs in the keeper (`spool.Spool.bring`).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

import aiohttp
from pydantic import BaseModel, ConfigDict

from cluster.backend import UnavailableError, Usage
from cluster.kubernetes import pod_paths
from cluster.kubernetes.connection import CONNECT_SECONDS, NOT_FOUND, Connection
from cluster.kubernetes.spool import Spool, UsageRecord

SILENCE = 60.0
"""The keeper prints a line at least every few seconds: a stream that is silent for longer is dead."""
PAUSE = 2.0
LONGEST_PAUSE = 30.0
"""Between two tries where a log cannot be followed at all, for example without the permission."""
GRACE_SECONDS = 5.0
"""How long a stream may take to be connected, before what was printed is brought in another way."""
LONGEST_LINE = 2**20
CLOSE_SECONDS = 5.0

log = logging.getLogger("assay.kubernetes")


class Line(BaseModel):
    """A line that the keeper prints. A test may have written into what it reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    file: str = ""
    at: int = 0
    data: str = ""
    usage: UsageRecord | None = None


@dataclass(slots=True)
class Followed:
    """One log that is followed. `missed`: something of it has not arrived, and has to be brought in another way."""

    path: str
    spool: Spool
    connected: bool = False
    missed: bool = False
    since: float = field(default_factory=time.monotonic)
    """When it was connected, or was so last."""
    usage: Usage | None = None
    task: "asyncio.Task[None] | None" = None
    over: bool = False

    @property
    def lacks(self) -> bool:
        """Whether the files may lack what was printed. A stream has a moment to be connected."""
        return self.missed or (not self.connected and time.monotonic() - self.since > GRACE_SECONDS)


@dataclass(slots=True)
class LogStreams:
    """The logs of a cluster that are followed. The thread begins with the first."""

    connection: Connection
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _session: aiohttp.ClientSession | None = None
    _followed: dict[str, Followed] = field(default_factory=dict)

    def follow(self, path: str, spool: Spool) -> Followed:
        """Follow the keeper of a pod, if that is not done. `path` is that of the pod in the API."""
        with self._lock:
            known = self._followed.get(path)
            if known is not None:
                return known
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop.run_forever, name="assay-logs", daemon=True)
                self._thread.start()
            made = self._followed[path] = Followed(path=path, spool=spool)
            self._call(self._begin(made))
            return made

    def usage(self, path: str) -> Usage | None:
        """Return the newest sample of a log that is followed, None if there is none."""
        with self._lock:
            known = self._followed.get(path)
        return None if known is None else known.usage

    def forget(self, path: str) -> None:
        """Follow the log of a pod no longer."""
        with self._lock:
            known = self._followed.pop(path, None)
        if known is not None:
            self._call(_end(known))

    def close(self) -> None:
        """Let go of all streams, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            self._loop.close()
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join(CLOSE_SECONDS)
        self._loop.close()

    def _call(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _begin(self, one: Followed) -> None:
        if not one.over:
            one.task = asyncio.create_task(self._keep_following(one), name=f"log of {one.path}")

    async def _close(self) -> None:
        for one in list(self._followed.values()):
            await _end(one)
        if self._session is not None:
            await self._session.close()

    async def _keep_following(self, one: Followed) -> None:
        """Follow one log until it is forgotten, or its pod is gone."""
        pause = PAUSE
        while not one.over:
            try:
                await self._stream(one)
            except aiohttp.ClientResponseError as refused:
                log.info("the log of %s may not be followed: %s", one.path, refused)
                if refused.status == NOT_FOUND:
                    self.forget(one.path)
            except (aiohttp.ClientError, TimeoutError, OSError, UnavailableError) as failed:
                log.info("the log of %s broke off: %s", one.path, failed)
            pause = PAUSE if one.connected else min(2 * pause, LONGEST_PAUSE)
            if one.connected:
                one.connected, one.since = False, time.monotonic()
            await asyncio.sleep(pause)

    async def _stream(self, one: Followed) -> None:
        query = (("container", pod_paths.KEEPER), ("follow", "true"))
        address = await asyncio.to_thread(self.connection.address, f"{one.path}/log", query)
        if self._session is None:
            limits = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=SILENCE)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=limits)
        asked = self._session.get(address.url, headers=address.headers, ssl=address.tls, proxy=address.proxy)
        async with asked as answer:
            answer.raise_for_status()
            one.connected = True
            left = b""
            async for piece in answer.content.iter_any():
                *lines, left = (left + piece).split(b"\n")
                for line in lines:
                    _take(one, line)
                if len(left) > LONGEST_LINE:
                    raise UnavailableError("the keeper prints lines without an end")


def _take(one: Followed, text: bytes) -> None:
    """Take in a line; leave out what no keeper prints."""
    try:
        line = Line.model_validate_json(text)
        if line.usage is not None:
            one.usage = line.usage.usage()
        if line.data:
            one.missed = not one.spool.append(line.file, line.at, line.data) or one.missed
    except ValueError:
        one.missed = True


async def _end(one: Followed) -> None:
    one.over = True
    if one.task is not None:
        one.task.cancel()
