"""One experiment in a worker's hands: what it is, where it stands, and what asks for its end.

The state is that of `chaos.experiment_states`. Each event goes through `tell`, which writes the new state down.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.experiment_states import Command, Event, Restarted, State, Step, Stopped, apply, fail, start
from chaos.halting import Watch
from chaos.journal import EventKind, JournalEvent, Phase
from chaos.judge_experiment import JudgedExperiment
from chaos.observed import Span
from chaos.provider import FaultId
from chaos.safety import DecisionRecord
from chaos.targets import Resolution
from chaos.verdict import End
from chaos.windows import Window
from cluster.fault_providers import Place
from cluster.faults.provider import Injection
from cluster.observation.command_looks import CommandLooks
from db import chaos_runs
from db.chaos_runs import Standing
from db.errors import UnavailableError
from flows.experiment.observer import Observer
from flows.steps import superseded
from flows.worker_context import WorkerContext
from orchestrator import experiments
from orchestrator.companions import Companion
from orchestrator.experiments import Begun
from orchestrator.lifecycle import Grant, fence

WAY_BACK = frozenset({Step.REVERT})
WRITE_PATIENCE = 2.0
"""Seconds for which the way back waits for the database. It needs nothing of it."""

log = logging.getLogger("assay.experiments")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFault:
    """What was injected, of which fault of the experiment: its number counts from 0."""

    number: int
    injection: Injection


class ExperimentRun:
    """An experiment in this worker's hands. Not a dataclass: Prefect walks through those, and this holds a worker."""

    def __init__(
        self, context: WorkerContext, grant: Grant, begun: Begun, place: Place, failed: str | None = None
    ) -> None:
        self.context = context
        self.grant = grant
        self.experiment = begun.experiment
        self.place = place
        self.started_at: datetime = begun.kept.started_at or context.now()
        self.claims = begun.kept.claims
        self.suite = begun.kept.suite_run_id
        self.resolution: Resolution | None = begun.kept.resolution
        self.decisions: tuple[DecisionRecord, ...] = begun.kept.decisions
        self.phases: tuple[Phase, ...] = begun.kept.phases
        self.events: list[JournalEvent] = []
        self.spans: dict[Window, Span] = {}
        self.watches: tuple[Watch, ...] = ()
        self.observer: Observer | None = None
        self.companions: tuple[Companion, ...] = ()
        self.command_looks: CommandLooks | None = None
        self.broke_off: tuple[str, ...] = ()
        """What was to go on through all windows and did not, in words."""
        self.active: dict[FaultId, ActiveFault] = {}
        """What this worker injected and has not seen reverted, by the id of the fault."""
        self.injected_at: dict[int, datetime] = {}
        self.reverting_since: datetime | None = None
        self.reverted_at: datetime | None = None
        self.stop_wished_at: datetime | None = None
        self.stopping: Stopped | None = None
        self.judged: JudgedExperiment | None = None
        self.window_closes: datetime | None = None
        """When its faults must have ended, by the rules of its team."""
        self.budget_allowed: float | None = None
        """What it may cost of an error budget by the rules of its team, in percent."""
        self.lost = False
        self.step_ends_at: datetime | None = None
        self._woken = asyncio.Event()
        self._step_began = context.now()
        self.state, self.commands = self._entered(begun.kept.state, failed)

    def _entered(self, kept: State | None, failed: str | None) -> tuple[State, tuple[Command, ...]]:
        """Return the state in which this worker takes it up, and what is to be done; after a failure the way out."""
        first = start(len(self.experiment.faults), self.experiment.order)
        if failed is not None:
            return fail(kept or first[0], failed)
        return first if kept is None else apply(kept, Restarted())

    async def tell(self, event: Event) -> tuple[Command, ...]:
        """Go on after an event: write the new state down, and return what is to be done. Raises: Abort."""
        before = self.state.step
        self.state, commands = apply(self.state, event)
        if self.state.step is not before:
            self._enter_step(before)
        if self.state.step is not Step.ENDED:
            await self.write_down()
        return commands

    def _enter_step(self, before: Step) -> None:
        now = self.context.now()
        self.phases = (*self.phases, Phase(name=before, begins=self._step_began, ends=now))
        self._step_began, self.step_ends_at = now, None

    async def write_down(self) -> None:
        """Write down where it stands. On the way back nothing waits for the database. Raises: Abort."""
        standing = Standing(
            state=self.state,
            resolution=self.resolution,
            decisions=self.decisions,
            phases=self.phases,
            progress=self.progress(),
        )
        patience = WRITE_PATIENCE if self.state.step in WAY_BACK else None
        try:
            mine = await self.context.db.run_patiently(
                lambda conn: experiments.stand(conn, self.grant, standing), timeout=patience
            )
        except UnavailableError as away:
            log.warning("run %s: %s; its faults are reverted all the same", self.grant.execution_id, away)
            return
        if not mine:
            raise superseded()

    async def show(self) -> None:
        """Write down how far it is, for people."""
        mine, progress = fence(self.grant), self.progress()
        await self.context.db.run(lambda conn: chaos_runs.show(conn, mine, progress))

    def progress(self) -> Mapping[str, object]:
        """Return how far it is: the step, when that ends at the latest, and how much was seen."""
        seen = self.observer.seen if self.observer else None
        return {
            "step": self.state.step.value,
            "stepEndsAt": self.step_ends_at.isoformat() if self.step_ends_at else None,
            "requests": len(seen.answers) if seen else 0,
            "looks": sum(map(len, seen.health.values())) if seen else 0,
            "readings": sum(map(len, (*seen.samples.values(), *seen.counts.values()))) if seen else 0,
        }

    def note(self, kind: EventKind, sentence: str) -> None:
        """Note something that happened now, for the report."""
        self.events.append(JournalEvent(at=self.context.now(), kind=kind, sentence=sentence))

    def stop(self, end: End, reason: str, kind: EventKind = EventKind.STEP, wished_at: datetime | None = None) -> None:
        """Ask for the end, which somebody wished at a moment; unless given now. The first wish counts."""
        if self.stopping is None:
            self.stopping = Stopped(end=end, reason=reason)
            self.stop_wished_at = self.stop_wished_at or wished_at or self.context.now()
            self.note(kind, reason)
        self._woken.set()

    def go_back(self) -> None:
        """Take note of what ended the fault, so that the recovery can be measured. A later abort ends that too."""
        if self.stopping is not None and self.stopping.end is not End.ABORTED:
            self.stopping = None
            self._woken.clear()

    def lose(self) -> None:
        """Note that another worker holds the run, or that it has ended."""
        self.lost = True
        self._woken.set()

    def asked(self) -> Stopped | None:
        """Return what asks for the end now. Raises: Abort if the run is not ours any more."""
        if self.lost:
            raise superseded()
        return self.stopping

    async def wait(self, until: datetime) -> Stopped | None:
        """Wait until a moment, or until something asks for the end; return that. Raises: Abort."""
        self.step_ends_at = until
        return await self.pause(until, until)

    async def pause(self, until: datetime, step_ends_at: datetime) -> Stopped | None:
        """Wait for a part of a step that ends at `step_ends_at` at the latest."""
        self.step_ends_at = step_ends_at
        seconds = (until - self.context.now()) / timedelta(seconds=1)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()
        except TimeoutError:
            pass
        return self.asked()
