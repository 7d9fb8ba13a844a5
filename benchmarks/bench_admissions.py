"""Admissions a second through 16 places for 32 flows: our gate against Prefect's global concurrency limit.

Both on one PostgreSQL server, in turn, in processes of their own, the flows as coroutines. A flow of ours writes its
execution and its row of the queue, makes a pass, waits to be told, holds, releases, makes a pass. A flow of Prefect's
enters `concurrency(...)`, holds, and leaves; it has no flow run around it, which spares Prefect some calls. Prefect's
server stays up, and does its idle work, while ours is measured.

Each flow notes by the machine's clock when it asked, began and ended; the rate, the most at once and the utilisation
are computed from these notes, whatever either side believes. The steady state is what is judged: from WARM seconds
after the start until the flows stop to ask. Busy is the part of the holds inside of it; who still waits when it ends
counts in no latency.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_admissions.py [--seconds S] [--rounds N] [--processes N]
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import goals
from gate_flows import CONNECTIONS, Note, Plan, Worker
from ground import Costs, Ground, cpu_of, load, pss_mib, server
from harness.stack import PREFECT_CREDENTIAL, Stack

from db import migrate
from db.embedded import Cluster

PLACES = 16
FLOWS = 32
WARM = 2.0
NANO = 1e9
HOLDS = QUICK, SLOW = 0.005, 0.2
TIMES, BUSY = 20, 95
"""The goals: how many times the peer's admissions under quick holds, how much of the places in use under slow ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one process did."""

    notes: list[Note]
    cpu: float
    peak_mib: float


Role = Callable[[Plan, Callable[[], object]], list[Note]]


def ours(plan: Plan, start: Callable[[], object]) -> list[Note]:
    """Be a worker of ours."""
    ground = Ground(plan.url, connections=CONNECTIONS, seed=os.getpid())
    return asyncio.run(Worker(plan, ground).work(start))


def peers(plan: Plan, start: Callable[[], object]) -> list[Note]:
    """Be a process whose flows share one of Prefect's limits, `plan.url`."""
    from prefect.concurrency.asyncio import concurrency  # noqa: PLC0415  takes seconds, and reads its settings

    notes: list[Note] = []

    async def flow(end: float) -> None:
        while time.monotonic() < end:
            note = Note(asked=time.monotonic_ns())
            notes.append(note)
            async with concurrency(plan.url, occupy=1, strict=True):
                note.begun = time.monotonic_ns()
                await asyncio.sleep(plan.hold)
                note.ended = time.monotonic_ns()

    async def work() -> None:
        start()
        end = time.monotonic() + plan.seconds
        tasks = [asyncio.create_task(flow(end)) for _ in range(plan.flows)]
        await asyncio.wait(tasks, timeout=plan.seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)

    asyncio.run(work())
    return notes


def act(role: Role, plan: Plan, barrier: Barrier, answers: "Queue[Part]") -> None:
    """Play a role in a process of its own, and tell what came of it."""
    cpu = 0.0

    def start() -> None:
        nonlocal cpu
        barrier.wait(120)
        cpu = time.process_time()

    notes = role(plan, start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put(Part(notes=notes, cpu=time.process_time() - cpu, peak_mib=peak))
    answers.close()
    answers.join_thread()
    os._exit(0)  # Prefect's client would go on asking for the flows that were cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one side did in one round."""

    notes: list[Note]
    begin: int
    end: int
    cpu: float
    server_cpu: float
    peak_mib: float
    server_mib: float

    @property
    def seconds(self) -> float:
        """How long the steady state was."""
        return (self.end - self.begin) / NANO

    @property
    def begun(self) -> list[Note]:
        """The turns that began in the steady state."""
        return [note for note in self.notes if self.begin <= note.begun < self.end]

    @property
    def rate(self) -> float:
        """Admissions a second."""
        return len(self.begun) / self.seconds

    @property
    def utilisation(self) -> float:
        """The part of the places' time that flows held them. A hold that never ended was cut off by the end."""
        held = (max(0, min(n.ended or self.end, self.end) - max(n.begun, self.begin)) for n in self.notes if n.begun)
        return sum(held) / NANO / (PLACES * self.seconds)

    @property
    def waits(self) -> Costs:
        """From asking to beginning."""
        return Costs(seconds=tuple((note.begun - note.asked) / NANO for note in self.begun))

    @property
    def most(self) -> int:
        """The greatest number that held at once, at any time; at one instant who leaves goes first."""
        begins = [(n.begun, 1) for n in self.notes if n.begun]
        ends = [(n.ended, -1) for n in self.notes if n.ended]
        now = top = 0
        for _, step in sorted(begins + ends):
            now += step
            top = max(top, now)
        return top


def play(role: Role, plans: Sequence[Plan], servers: Sequence[int]) -> Round:
    """Let processes play one round."""
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(len(plans) + 1), spawn.Queue()
    processes = [spawn.Process(target=act, args=(role, plan, barrier, answers), daemon=True) for plan in plans]
    for process in processes:
        process.start()
    barrier.wait(120)
    begin, cpu = time.monotonic_ns(), sum(map(cpu_of, servers))
    parts = [answers.get(timeout=plans[0].seconds + 60) for _ in processes]
    server_cpu, memory = sum(map(cpu_of, servers)) - cpu, sum(map(pss_mib, servers))
    for process in processes:
        process.join()
    return Round(
        notes=[note for part in parts for note in part.notes],
        begin=begin + int(WARM * NANO),
        end=begin + int(plans[0].seconds * NANO),
        cpu=sum(part.cpu for part in parts),
        server_cpu=server_cpu,
        peak_mib=sum(part.peak_mib for part in parts),
        server_mib=memory,
    )


@dataclass(slots=True)
class Match:
    """Both sides on their servers."""

    cluster: Cluster
    stack: Stack
    ground: Ground
    numbers: Iterator[int]

    def ours(self, plan: Plan) -> Round:
        """Let ours play."""
        self.ground.clear()
        plans = [replace(plan, number=n, url=self.ground.db.url) for n in range(plan.processes)]
        return play(ours, plans, [self._postgres()])

    def peers(self, plan: Plan) -> Round:
        """Let Prefect play, on a new limit: what a flow that was cut off still holds must not count."""
        name = f"bench-{next(self.numbers)}"
        self.stack.prefect("POST", "/v2/concurrency_limits/", json={"name": name, "limit": PLACES})
        plans = [replace(plan, number=n, url=name) for n in range(plan.processes)]
        return play(peers, plans, [self._postgres(), self.stack.processes["prefect"].pid])

    def _postgres(self) -> int:
        pid = self.cluster.pid
        assert pid is not None, "PostgreSQL is gone"  # noqa: S101
        return pid


@contextmanager
def both() -> Iterator[Match]:
    """Start PostgreSQL and Prefect's server, and furnish our pool."""
    with server("assay", "prefect") as cluster, tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        migrate.upgrade(cluster.url("assay"))
        stack = Stack(Path(folder))
        stack.cluster = cluster
        ground = Ground(cluster.url("assay"))
        ground.furnish()
        ground.places(PLACES)
        os.environ.update({"PREFECT_API_URL": stack.prefect_url, "PREFECT_LOGGING_LEVEL": "ERROR"})
        os.environ.update({"PREFECT_HOME": str(stack.state / "prefect"), "PREFECT_API_AUTH_STRING": PREFECT_CREDENTIAL})
        try:
            stack.start_prefect()
            yield Match(cluster, stack, ground, iter(range(1000)))
        finally:
            ground.db.close()
            stack.stop()


def show(name: str, hold: float, found: Round) -> None:
    """Print one round."""
    print(
        f"{name:8} {1000 * hold:5.0f} ms  {found.rate:7.1f}/s  busy {found.utilisation:6.1%}  at most {found.most:2}"
        f"  wait {found.waits}  CPU {found.cpu:5.1f} + server {found.server_cpu:5.1f} s"
        f" ({1000 * (found.cpu + found.server_cpu) / max(1, len(found.notes)):.1f} ms each)"
        f"  {found.peak_mib:4.0f} + {found.server_mib:4.0f} MiB",
        flush=True,
    )


def show_gaps(found: Round) -> None:
    """Print where a place's time goes between two holders. Places are handed on in the order in which they got free."""
    begun, ended, admitted, released = (
        sorted(getattr(note, name) for note in found.notes if getattr(note, name))
        for name in ("begun", "ended", "admitted", "released")
    )
    one = [note for note in found.begun if note.admitted and note.told and note.released]
    steps = {
        "from holder to holder": zip(ended, begun[PLACES:], strict=False),
        "  ended to released": ((n.ended, n.released) for n in one),
        "  released to admitted": zip(released, admitted[PLACES:], strict=False),
        "  admitted to told": ((n.admitted, n.told) for n in one),
        "  told to claimed": ((n.told, n.claimed) for n in one),
        "  claimed to begun": ((n.claimed, n.begun) for n in one),
    }
    for name, pairs in steps.items():
        inside = [(to - since) / NANO for since, to in pairs if found.begin <= since < found.end]
        mean = 1000 * statistics.fmean(inside) if inside else 0.0
        print(f"         {name:23} mean {mean:7.2f}  {Costs(seconds=tuple(inside))}")


def main() -> None:
    """Print all rounds, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="of either side; the flows are divided")
    parser.add_argument("--hold", type=float, nargs="*", default=HOLDS)
    parser.add_argument("--each", action="store_true", help="each flow of ours makes its own passes")
    parser.add_argument("--alone", action="store_true", help="without Prefect")
    given = parser.parse_args()
    with both() as match:
        played = {hold: [_round(match, hold, given) for _ in range(given.rounds)] for hold in given.hold}
    for hold, rounds in played.items():
        tell(hold, rounds)


def tell(hold: float, rounds: Sequence[tuple[Round, Round | None]]) -> None:
    """Print how the rounds of one hold stand to the goals."""
    ms = f"{1000 * hold:.0f} ms"
    ratios = [mine.rate / max(peer.rate, 0.001) for mine, peer in rounds if peer is not None]
    if ratios:
        each = ", ".join(f"{ratio:.1f}x" for ratio in ratios)
        print(f"ratio at {ms}: {statistics.median(ratios):.1f}x ({each})")
    if ratios and hold == QUICK:
        print(goals.at_least(f"admissions at {ms}, times the peer's", statistics.median(ratios), TIMES))
    if hold == SLOW:
        busy = statistics.median(100 * mine.utilisation for mine, _ in rounds)
        print(goals.at_least(f"utilisation at {ms}", busy, BUSY, " %"))


def _round(match: Match, hold: float, given: argparse.Namespace) -> tuple[Round, Round | None]:
    """Let both play, and print it."""
    plan = Plan(
        number=0,
        processes=given.processes,
        url="",
        flows=FLOWS // given.processes,
        hold=hold,
        seconds=given.seconds,
        joined=not given.each,
    )
    print(load())
    mine = match.ours(plan)
    show("assay", hold, mine)
    show_gaps(mine)
    if given.alone:
        return mine, None
    peer = match.peers(plan)
    show("prefect", hold, peer)
    return mine, peer


if __name__ == "__main__":
    main()
