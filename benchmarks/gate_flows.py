"""Flows at our gate as they stand in a worker, each turn noted: asked, admitted, told, claimed, begun, ended, released.

One process is one worker: its flows are coroutines on few connections; its own passes take up for them what got a
place, and it claims what passes of others admitted, when it is told, as `flows.dispatcher` does. A pass follows each
submission and each release: by each flow itself, or `joined`, as in `flows.worker_context`: one for all of the process
that ask while another one is under way, in one transaction with the releases.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from ground import TTL, Ground, waiting
from sqlalchemy import Connection

from db import leases, notices, workers
from db.gate import queue
from db.gate.pass_output import Admitted, Lessee
from db.listen import Listener
from db.seeds import DEFAULT_POOL
from flows.pass_batcher import PassBatcher, PendingChange, carry_out
from flows.worker_context import GATHER_SECONDS
from model.execution import Status
from model.ids import ExecutionId, WorkerId
from model.notices import Admitted as AdmittedNotice
from model.notices import Ended
from model.runs import RunKind
from orchestrator import admission
from orchestrator.place_releases import PlaceReleases
from scheduler.values.node import DEFAULT_BACKEND

LOOK_EVERY = 1.0
"""Seconds after which a worker looks by itself, as in earnest: a place that waits for this was forgotten."""
CONNECTIONS = 4
CLAIMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process shall do: so many flows, holds of so many seconds, and for how long."""

    number: int
    processes: int
    url: str
    flows: int
    hold: float
    seconds: float
    joined: bool


@dataclass(slots=True, kw_only=True)
class Note:
    """One turn of a flow, in ns of the machine's clock; 0 for what has not happened, or is not known of a peer."""

    asked: int
    admitted: int = 0
    told: int = 0
    claimed: int = 0
    begun: int = 0
    ended: int = 0
    released: int = 0


@dataclass(slots=True, kw_only=True)
class Turn:
    """A flow that waits: its note, and what wakes it with the epoch."""

    note: Note
    epoch: asyncio.Future[int]


@dataclass(slots=True)
class Worker:
    """One worker process."""

    plan: Plan
    ground: Ground
    notes: list[Note] = field(default_factory=list)
    turns: dict[UUID, Turn] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    passes: PassBatcher = field(init=False)
    full: bool = False
    end: float = 0.0

    def __post_init__(self) -> None:
        self.passes = PassBatcher(self._pass)

    @property
    def name(self) -> WorkerId:
        """What the gate knows it by."""
        return WorkerId(f"bench-{self.plan.number}")

    async def work(self, start: Callable[[], object]) -> list[Note]:
        """Let the flows work for the given time, from `start` on."""
        await self.ground.db.run(lambda conn: workers.register(conn, self.name, DEFAULT_POOL, TTL, [DEFAULT_BACKEND]))
        loop = asyncio.get_running_loop()
        with self._listening(loop) as listener:
            await loop.run_in_executor(None, listener.wait_until_listening, 10.0)
            await loop.run_in_executor(None, start)
            self.end = time.monotonic() + self.plan.seconds
            carrying = asyncio.create_task(self._carry())
            await asyncio.gather(*(self._flow() for _ in range(self.plan.flows)))
            carrying.cancel()
        await self.ground.db.run(lambda conn: workers.leave(conn, self.name))
        return self.notes

    @contextmanager
    def _listening(self, loop: asyncio.AbstractEventLoop) -> Iterator[Listener]:
        with Listener(self.ground.db.url) as listener:
            listener.subscribe(lambda payload: loop.call_soon_threadsafe(self._hear, payload, time.monotonic_ns()))
            yield listener

    def _hear(self, payload: str, at: int) -> None:
        notice = notices.parse(payload)
        for run in notice.run_ids if isinstance(notice, AdmittedNotice) else ():
            if turn := self.turns.get(run):
                turn.note.told = at
        self.news.set()

    async def _carry(self) -> None:
        """Claim admitted runs as they come, and wake their flows."""
        while True:
            self.news.clear()
            places = await self.ground.db.run(lambda conn: leases.claim(conn, self.name, TTL, limit=CLAIMS))
            self._take_up(places)
            if not places:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), LOOK_EVERY)

    def _take_up(self, places: Iterable[leases.Claimed | Admitted]) -> None:
        for place in places:
            if turn := self.turns.pop(place.execution_id, None):
                turn.note.claimed = time.monotonic_ns()
                turn.epoch.set_result(place.epoch)

    async def _flow(self) -> None:
        """Submit, wait, hold, release, again and again."""
        while time.monotonic() < self.end:
            note = Note(asked=time.monotonic_ns())
            [run] = self.ground.new_ids(1)
            turn = self.turns[run] = Turn(note=note, epoch=asyncio.get_running_loop().create_future())
            self.notes.append(note)
            await self.ground.db.run(partial(self._submit, run=run))
            passing = asyncio.create_task(self._passing(freed=False))
            epoch = await turn.epoch
            note.begun = time.monotonic_ns()
            await asyncio.sleep(self.plan.hold)
            note.ended = time.monotonic_ns()
            await self._release(run, epoch, note)
            await passing

    def _submit(self, conn: Connection, run: ExecutionId) -> None:
        """Write an execution that waits, and whose flow is here."""
        self.ground.execute(conn, [run])
        queue.enqueue(conn, replace(waiting(run, 0), host=self.name))

    async def _passing(self, *, freed: bool) -> None:
        """Have a pass made, now that something changed."""
        if self.plan.joined:
            await self.passes.ask(0.0 if freed or not self.full else GATHER_SECONDS)
        else:
            await self._pass()

    async def _release(self, run: ExecutionId, epoch: int, note: Note) -> None:
        """Give a place up, and have it given on."""

        def released(_: Connection, ends: PlaceReleases) -> None:
            ends.add(run, epoch, Ended(run_id=run, kind=RunKind.TEST, status=Status.COMPLETED))
            note.released = time.monotonic_ns()

        if self.plan.joined:
            await self.passes.change(released)
        else:
            await self.ground.db.run(partial(queue.release, execution_id=run, epoch=epoch))
            note.released = time.monotonic_ns()
            await self._pass()

    async def _pass(self, handed: Sequence[PendingChange] = ()) -> None:
        lessee = Lessee(worker=self.name, ttl=TTL)
        outcome = await carry_out(
            self.ground.db, handed, lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True, lessee=lessee)
        )
        if outcome is None:
            return
        self.full = outcome.full
        for run in outcome.admitted:
            if turn := self.turns.get(run.execution_id):
                turn.note.admitted = time.monotonic_ns()
        self._take_up(run for run in outcome.admitted if run.leased)
