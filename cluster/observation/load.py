"""A small load for experiments: requests to one address at a fixed rate, whatever the answers are (open loop).

A load that waits for answers asks a slow target less often, and so hides what customers see.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx

from chaos.answers import AnswerLog, LoadAnswer
from chaos.hypothesis import Load
from cluster import addresses
from cluster.observation.probes import PORTS, pinned

MOST_OPEN = 2000
"""Requests that wait for an answer at once. One more is not sent, and counts as bad."""
BAD_FROM = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go: the address that was checked, under the name that was asked for."""

    url: str
    headers: Mapping[str, str]
    name: str


@dataclass(slots=True, kw_only=True)
class OpenLoad:
    """A running load. `answers` grows while it runs."""

    load: Load
    clock: Callable[[], datetime]
    allowed_hosts: frozenset[str] = frozenset()
    answers: AnswerLog = field(default_factory=AnswerLog)
    waiting: list[datetime] = field(default_factory=list)
    """When each request was asked that has no answer yet."""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Make requests until this is cancelled; requests without an answer then count as bad.

        Raises: AddressError if the address may not be reached, NoAnswerError if its name cannot be looked up.
        """
        target = await self._target()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx.AsyncClient(timeout=self.load.timeout_seconds, limits=limits, trust_env=False) as client:
            try:
                await self._ask_for_ever(client, target)
            finally:
                for task in tuple(self._open):
                    task.cancel()
                await asyncio.gather(*self._open, return_exceptions=True)

    async def _target(self) -> Target:
        """Look the name up once. All requests go to an address that was checked."""
        parts = urlsplit(self.load.url or "")
        port = parts.port or PORTS[parts.scheme]
        found = await asyncio.to_thread(addresses.resolve, parts.hostname or "", port, self.allowed_hosts)
        body = {"Content-Type": "application/json"} if self.load.body is not None else {}
        return Target(
            url=pinned(parts, str(found[0])), headers={"Host": parts.netloc, **body}, name=parts.hostname or ""
        )

    async def _ask_for_ever(self, client: httpx.AsyncClient, target: Target) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            await asyncio.sleep(max(0.0, began + number / self.load.per_second - loop.time()))
            number += 1
            if len(self._open) >= MOST_OPEN:
                self.answers.add(LoadAnswer(asked_at=self.clock(), took=timedelta(0), good=False))
                continue
            task = asyncio.create_task(self._ask(client, target))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _ask(self, client: httpx.AsyncClient, target: Target) -> None:
        loop = asyncio.get_running_loop()
        asked_at, began, good = self.clock(), loop.time(), False
        self.waiting.append(asked_at)
        try:
            async with asyncio.timeout(self.load.timeout_seconds):
                answer = await client.request(
                    self.load.method,
                    target.url,
                    content=self.load.body,
                    headers=target.headers,
                    extensions={"sni_hostname": target.name},
                )
            good = answer.status_code < BAD_FROM
        except (httpx.HTTPError, TimeoutError):
            good = False
        finally:
            self.waiting.remove(asked_at)
            took = timedelta(seconds=loop.time() - began)
            self.answers.add(LoadAnswer(asked_at=asked_at, took=took, good=good))
