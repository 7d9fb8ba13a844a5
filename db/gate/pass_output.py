"""Write what a pass decided: who starts, why the others wait, who is asked to stop.

Whoever changes a run locks its row of `runs` before its row of the queue. A pass waits for neither lock: it skips a
row that somebody else has locked, and the next pass sees the outcome. If one member of a group is skipped, all are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from db import notices
from db.gate import decision_records, repairs
from db.gate.decision_records import Ahead, Pass, Started, Stopped
from db.gate.pass_input import POSITIONS, Facts
from db.gate.queue_rows import Noted
from db.gate.queue_watermarks import WAITING_FROM
from db.gate.read_rows import ReadRows
from db.listen import CHANNEL
from db.prepared import Prepared
from db.sql_text import statement
from model.ids import BackendName, ExecutionId, NodeName, WorkerId
from model.notices import PreemptAsked
from scheduler.admission.decisions import Admit, Decision, Preempt, Wait
from scheduler.admission.outcome import Outcome
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Queued

AHEAD = 3
"""Runs ahead that a record names; the position tells how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A run that has a place now."""

    execution_id: ExecutionId
    epoch: int
    node: NodeName
    backend: BackendName
    candidates: tuple[NodeName, ...] = ()
    flow_run_id: UUID | None = None
    leased: bool = False
    """The worker that made the pass has the run in hand already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessee:
    """A worker that makes a pass. It takes up at once the runs whose flows wait in it and whose backend it serves."""

    worker: WorkerId
    ttl: timedelta


_ADMIT = Prepared("""
WITH chosen AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:nodes AS text[]), CAST(:backends AS text[]),
        CAST(:candidates AS text[]), CAST(:records AS text[]), CAST(:groups AS uuid[]))
        WITH ORDINALITY AS c (execution_id, node, backend, candidates, record, group_id, number)
), mine AS MATERIALIZED (
    SELECT r.id AS execution_id, r.epoch, r.flow_run_id FROM runs r JOIN chosen ON chosen.execution_id = r.id
    WHERE r.status = 'queued' FOR NO KEY UPDATE OF r SKIP LOCKED
), torn AS MATERIALIZED (
    SELECT chosen.group_id FROM chosen LEFT JOIN mine USING (execution_id)
    WHERE chosen.group_id IS NOT NULL AND mine.execution_id IS NULL
), placed AS (
    UPDATE queue q SET state = 'admitted', epoch = greatest(q.epoch, mine.epoch) + 1, node = chosen.node,
        candidates = string_to_array(chosen.candidates, ','), backend = chosen.backend,
        turn = nextval('queue_turns'), admitted_at = :now, began_at = NULL, nominated = NULL, not_before = NULL,
        reason = '', position = NULL, record_digest = NULL, reserved_for = NULL, record_count = q.record_count + 1
    FROM mine JOIN chosen USING (execution_id)
    WHERE q.execution_id = mine.execution_id AND q.state = 'waiting'
        AND NOT EXISTS (SELECT FROM torn WHERE torn.group_id = chosen.group_id)
    RETURNING q.execution_id, q.epoch, q.node, q.candidates, q.backend, q.record_count, q.host, mine.flow_run_id,
        chosen.record,
        chosen.number
), leased AS (
    INSERT INTO leases (execution_id, epoch, holder, expires_at)
    SELECT placed.execution_id, placed.epoch, me.worker_id, clock_timestamp() + CAST(:ttl AS interval)
    FROM workers me JOIN placed ON placed.host = me.worker_id AND placed.backend = ANY(me.serves)
    WHERE me.worker_id = :worker AND NOT me.draining AND me.expires_at > clock_timestamp()
    ON CONFLICT (execution_id) DO NOTHING RETURNING execution_id
), updated AS (
    UPDATE runs r SET epoch = placed.epoch, phase = 'admitted'
    FROM placed WHERE r.id = placed.execution_id
), recorded AS (
    INSERT INTO decisions (execution_id, number, at, epoch, record)
    SELECT execution_id, record_count, :now, epoch, CAST(record AS jsonb) FROM placed
), notified AS MATERIALIZED (
    SELECT pg_notify(CAST(:channel AS text),
        CAST(:admitted AS text) || string_agg(CAST(execution_id AS text), ',' ORDER BY number))
    FROM (SELECT execution_id, number, (row_number() OVER (ORDER BY number) - 1) / :a_message AS part FROM placed) AS p
    GROUP BY part ORDER BY part
)
SELECT execution_id, epoch, node, candidates, backend, flow_run_id, leased.execution_id IS NOT NULL AS leased
FROM placed LEFT JOIN leased USING (execution_id) WHERE (SELECT count(*) FROM notified) > 0
""")
_EXPLAIN = Prepared("""
WITH news AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:records AS text[]),
        CAST(:positions AS int[]), CAST(:nominated AS text[]), CAST(:digests AS bigint[]))
        AS n (execution_id, reason, record, position, nominated, record_digest)
), mine AS (
    SELECT execution_id FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) AND state = 'waiting'
    FOR NO KEY UPDATE SKIP LOCKED
), noted AS (
    UPDATE queue q SET reason = news.reason, position = news.position, nominated = news.nominated,
        record_digest = news.record_digest,
        record_count = q.record_count + CASE WHEN news.record IS NULL THEN 0 ELSE 1 END
    FROM news JOIN mine USING (execution_id) WHERE q.execution_id = news.execution_id
    RETURNING q.execution_id, q.record_count, q.epoch, news.record
)
INSERT INTO decisions (execution_id, number, at, epoch, record)
SELECT execution_id, record_count, :now, epoch, CAST(record AS jsonb) FROM noted WHERE record IS NOT NULL
""")
_ANNOTATED = Prepared(
    """
WITH levels AS MATERIALIZED ($waiting_from), passed AS (
    UPDATE queue SET position = NULL WHERE execution_id IN (
        SELECT shown.execution_id FROM levels AS l CROSS JOIN LATERAL (
            SELECT execution_id FROM queue
            WHERE pool = :pool AND state = 'waiting' AND priority = l.priority AND seq >= l.lowest
                AND position IS NOT NULL AND execution_id <> ALL(CAST(:read AS uuid[]))
            ORDER BY seq FOR NO KEY UPDATE SKIP LOCKED
        ) AS shown)
)
UPDATE pools SET annotated_at = :now
WHERE name IN (SELECT name FROM pools WHERE name = :pool FOR NO KEY UPDATE SKIP LOCKED)
""",
    waiting_from=WAITING_FROM,
)
"""Who has fallen behind those whose position is told has none any more."""

_PREEMPT = statement("""
WITH chosen AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:others AS uuid[]), CAST(:records AS text[]))
        AS c (execution_id, beneficiary, record)
), mine AS (
    SELECT r.id AS execution_id FROM runs r JOIN chosen ON chosen.execution_id = r.id
    WHERE r.status IN ('queued', 'running') AND r.cancel_requested_at IS NULL FOR NO KEY UPDATE OF r SKIP LOCKED
), asked AS (
    UPDATE queue q SET preempted_for = chosen.beneficiary, preempted_at = clock_timestamp(),
        record_count = q.record_count + 1
    FROM mine JOIN chosen USING (execution_id)
    WHERE q.execution_id = mine.execution_id AND q.state = 'admitted'
        AND q.restartable AND NOT q.guarded AND q.preempted_for IS NULL AND q.began_at IS NOT NULL
    RETURNING q.execution_id, q.record_count, q.epoch, chosen.record
), recorded AS (
    INSERT INTO decisions (execution_id, number, at, epoch, record)
    SELECT execution_id, record_count, :now, epoch, CAST(record AS jsonb) FROM asked
)
SELECT execution_id FROM asked
""")


def admit(
    conn: Connection, decisions: Sequence[Admit], known: Facts, found: ReadRows, lessee: Lessee | None = None
) -> list[Admitted]:
    """Give places to runs, each under a new epoch, and tell the workers when the pass commits.

    Who is being cancelled at this moment gets none, nor does its group.
    """
    if not decisions:
        return []
    rows = _ADMIT.execute(
        conn,
        {
            "ids": [d.run.execution_id for d in decisions],
            "nodes": [d.node for d in decisions],
            "backends": [d.backend for d in decisions],
            "candidates": [",".join(d.candidates) for d in decisions],
            "records": [decision_records.to_json(_started(d, known, found)) for d in decisions],
            "groups": [d.run.group for d in decisions],
            "now": known.now,
            "channel": CHANNEL,
            "admitted": notices.ADMITTED,
            "a_message": notices.IDS_A_MESSAGE,
            "worker": None if lessee is None else lessee.worker,
            "ttl": None if lessee is None else lessee.ttl,
        },
    )
    admitted = {row.execution_id: _admitted(row) for row in rows}
    missing = [d.run.execution_id for d in decisions if d.run.execution_id not in admitted]
    if missing:
        repairs.clean_up(conn, missing)
    return [admitted[d.run.execution_id] for d in decisions if d.run.execution_id in admitted]


def _admitted(row: Row[Any]) -> Admitted:
    return Admitted(
        execution_id=ExecutionId(row.execution_id),
        epoch=row.epoch,
        node=NodeName(row.node),
        backend=BackendName(row.backend),
        candidates=tuple(map(NodeName, row.candidates)),
        flow_run_id=row.flow_run_id,
        leased=row.leased,
    )


def explain(conn: Connection, decisions: Sequence[Decision], known: Facts, found: ReadRows) -> None:
    """Write why runs wait, where that is news: a row is not rewritten for numbers that move, but once a second.

    Who was told a reason hears of another one within that second.
    """
    by = Pass(strategy=known.limits.strategy, snapshot=found.snapshot)
    news = [word for word in _words(decisions, known, found) if word.news and (known.annotate or word.urgent)]
    if news:
        _EXPLAIN.execute(
            conn,
            {
                "ids": [word.wait.run.execution_id for word in news],
                "reasons": [str(word.wait.reason) for word in news],
                "records": [word.record(by) for word in news],
                "positions": [word.position if known.annotate else word.note.position for word in news],
                "nominated": [word.wait.nominated for word in news],
                "digests": [word.digest for word in news],
                "now": known.now,
            },
        )
    if known.annotate:
        _ANNOTATED.execute(conn, {"pool": known.pool, "now": known.now, "read": list(found.runs)})


def urgent(run: Queued, position: int, outcome: Outcome, found: ReadRows) -> bool:
    """Return whether a run must be told now and not within its second, or is named to others as first of the order.

    Who is put off counts in the order of those that start, so the pass must hear of it.
    """
    note = found.notes[run.execution_id]
    if run.execution_id in outcome.put_off:
        return True
    return position <= AHEAD or not note.reason or outcome.kept.get(run.execution_id) != run.nominated


def preempt(conn: Connection, decisions: Sequence[Preempt], now: datetime) -> list[ExecutionId]:
    """Ask runs to stop for others, and tell the workers; return those that were asked.

    Who is cancelled, guarded, asked already or launched anew since is not.
    """
    if not decisions:
        return []
    values = {
        "ids": [d.run.execution_id for d in decisions],
        "others": [d.beneficiary.execution_id for d in decisions],
        "records": [decision_records.to_json(_stopped(d, now)) for d in decisions],
        "now": now,
    }
    asked = [ExecutionId(run) for run in conn.execute(_PREEMPT, values).scalars()]
    notices.tell(conn, [PreemptAsked(run_ids=tuple(asked))])
    return asked


def _started(decision: Admit, known: Facts, found: ReadRows) -> Started:
    run = decision.run
    return Started(
        by=Pass(strategy=known.limits.strategy, snapshot=found.snapshot),
        node=decision.node,
        candidates=decision.scores,
        position=found.notes[run.execution_id].position,
        priority=run.priority,
        share=decision.share,
        waited=max(known.now - run.enqueued_at, timedelta()).total_seconds(),
    )


def _stopped(decision: Preempt, now: datetime) -> Stopped:
    since = decision.run.started_at or now
    return Stopped(
        beneficiary=decision.beneficiary.execution_id,
        priority=decision.beneficiary.priority,
        held=max(now - since, timedelta()).total_seconds(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What there is to say to a run that waits, and what it was told last. `position` is None where nobody knows it."""

    wait: Wait
    position: int | None
    digest: int
    note: Noted
    ahead: tuple[Ahead, ...] = ()
    """Those of the first of the order that come before it."""

    @property
    def urgent(self) -> bool:
        """True when it must not wait for its second: it is not only numbers that moved."""
        moved = self.wait.nominated != self.wait.run.nominated
        return moved or self.note.record_digest != self.digest or not self.note.reason

    @property
    def news(self) -> bool:
        """True when its row says something else."""
        return self.urgent or self.note.reason != str(self.wait.reason) or self.note.position != self.position

    def record(self, by: Pass) -> str | None:
        """Return the record to keep, None where the last one still tells it."""
        if self.note.record_digest == self.digest:
            return None
        return decision_records.to_json(decision_records.waited(self.wait, by, self.position, self.ahead))


def _words(decisions: Sequence[Decision], known: Facts, found: ReadRows) -> list[_Word]:
    """Return what to say to whom. A position is told where all rows before it were read.

    That is sure up to the end of the rows that were read in order; where all are told, up to the last run that was read
    of a shape of which there are more.
    """
    words: list[_Word] = []
    first: list[Ahead] = []
    ordered = known.limits.strategy is not Strategy.FAIR_SHARE
    sure, last = known.looking and known.annotate, found.in_order - sum(isinstance(d, Admit) for d in decisions)
    for wait in (d for d in decisions if isinstance(d, Wait)):
        note, position, ahead = found.notes[wait.run.execution_id], wait.position, tuple(first)
        if position is not None and len(first) < AHEAD:
            first.append(Ahead(execution_id=wait.run.execution_id, priority=wait.run.priority, share=wait.share))
        if position is None or position > POSITIONS or not (sure or (ordered and position <= last)):
            position = None
        if wait.reason.code is not Code.ELSEWHERE or not note.reason:  # else what it was told last still holds
            digest = decision_records.digest(wait)
            words.append(_Word(wait=wait, position=position, digest=digest, note=note, ahead=ahead))
        sure = sure and wait.run.execution_id not in found.last
    return words
