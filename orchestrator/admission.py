"""Make a pass of the gate: admit whoever may start now, for everybody, and say why the others wait.

`request` is the one way to make a pass. Whoever changed something asks for it: a submit, a cancel, the end of a run,
and each worker once a second. The phases of a pass:

    lock     the pool, and only then read: what an earlier pass has decided is committed by then
    repair   what was left behind: runs that no worker took up, times that lie ahead of the clock
    rounds   read, decide, admit. A pass that starts very many runs goes on with the next ones of the queue
    finish   the last round explains, reserves across pools, and asks runs to stop for others

The decisions are pure (`scheduler.admission.plan`), the statements are in `db`. The workers are notified when the
transaction commits.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from db.gate import fair_usage, pass_input, pass_locks, pass_output, repairs, reservations
from db.gate.pass_input import Facts
from db.gate.pass_output import Admitted, Lessee
from db.gate.read_rows import ReadRows
from model.ids import ExecutionId, PoolName
from scheduler.admission.cross_pool import kept_across
from scheduler.admission.decisions import Admit, Decision, Preempt, Wait
from scheduler.admission.outcome import Outcome
from scheduler.admission.plan import decide, spell_out
from scheduler.values.order import rank
from scheduler.values.run import Queued

ROUNDS = 20
"""The most rounds of one pass. What is left after these is for the next pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """What a pass did. `preempted` were asked to stop for others. `full`: it left no place free.

    `again`: runs were skipped because the pass of another pool was deciding over their owners or names. Another pass,
    made in a moment, will find these decisions committed.
    """

    admitted: tuple[Admitted, ...]
    full: bool = False
    given_back: int = 0
    preempted: tuple[ExecutionId, ...] = ()
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of a pass did. `more`: there may be runs to start that it has not read.

    `again`: runs were skipped because of another pool.
    """

    admitted: list[Admitted]
    preempted: tuple[ExecutionId, ...] = ()
    more: bool = False
    again: bool = False


def request(
    conn: Connection, pool: PoolName, *, blocking: bool = False, lessee: Lessee | None = None
) -> PassOutcome | None:
    """Make a pass in this transaction, and return what it did; None if another pass does it.

    If `blocking`, that other pass will read everything that was committed before this call. Else it is the one under
    way, which may have read already. The caller should have committed its change, or make the pass in the transaction
    of the change. A `lessee` gets the lease on those admitted runs whose flows wait in it.
    Raises: NotFoundError if there is no such pool.
    """
    if not _locked(conn, pool, blocking=blocking):
        return None
    known, given_back = _repaired(conn, pass_input.facts(conn, pool))
    admitted: list[Admitted] = []
    for number in range(ROUNDS):
        if number:
            known = _read_again(conn, known)
        done = _round(conn, known, lessee)
        admitted += done.admitted
        if not done.more:
            break
    return PassOutcome(
        admitted=tuple(admitted),
        full=known.workers > 0 and known.room_in_all <= len(done.admitted),
        given_back=given_back,
        preempted=done.preempted,
        again=done.again,
    )


def _locked(conn: Connection, pool: PoolName, *, blocking: bool) -> bool:
    """Lock the pool before anything is read. False: another pass has the lock, or will have it next."""
    if blocking:
        return pass_locks.wait_pass(conn, pool, lambda: pass_input.claims_waiting(conn, pool))
    return pass_locks.try_pass(conn, pool)


def _repaired(conn: Connection, known: Facts) -> tuple[Facts, int]:
    """Repair what was left behind. Return the facts after that, and how many runs were sent back to wait."""
    if not known.lost and not known.turned_back:
        return known, 0
    if known.turned_back:
        repairs.turn_back(conn, known)
    given_back = repairs.give_back(conn, known.lost) if known.lost else 0
    return _read_again(conn, known), given_back


def _read_again(conn: Connection, known: Facts) -> Facts:
    """Read the facts of the pool after a change of this pass. All rounds of a pass decide for one moment."""
    return replace(pass_input.facts(conn, known.pool), now=known.now)


def _round(conn: Connection, known: Facts, lessee: Lessee | None) -> Round:
    """Read, decide and admit once. If there are no more runs to start, finish the pass."""
    found = pass_input.waiting(conn, known)
    busy = found.busy(pass_locks.try_claims(conn, found.claims())) if known.several else frozenset()
    state = pass_input.state(conn, known, found, busy)
    outcome = decide(state, known.now)
    decisions = spell_out(state, outcome, known.now, partial(_wants_reason, known, found, outcome))
    chosen, more = _in_order(decisions, known, found, outcome.put_off)
    admitted = pass_output.admit(conn, chosen, known, found, lessee)
    started = {run.execution_id for run in admitted}
    dropped = [d.run for d in decisions if isinstance(d, Admit) and d.run.execution_id not in started]
    dropped += [found.runs[run] for run in outcome.put_off]
    fair_usage.write(conn, known, fair_usage.of(outcome, dropped, known.limits), started=bool(admitted))
    if more and len(admitted) < known.room_in_all:
        return Round(admitted=admitted, more=True)
    pass_output.explain(conn, decisions, known, found)
    if known.several:
        ours = found.runs.keys() - busy - outcome.admitted.keys()
        reservations.write(conn, ours, kept_across(outcome), found.notes)
    preempted = pass_output.preempt(conn, [d for d in decisions if isinstance(d, Preempt)], known.now)
    return Round(admitted=admitted, preempted=tuple(preempted), again=bool(outcome.put_off))


def _wants_reason(known: Facts, found: ReadRows, outcome: Outcome, run: Queued, position: int) -> bool:
    """Return whether the reason of a waiting run is written in this pass; once a second all are."""
    return known.annotate or pass_output.urgent(run, position, outcome, found)


def _in_order(
    decisions: Sequence[Decision], known: Facts, found: ReadRows, put_off: Collection[ExecutionId]
) -> tuple[list[Admit], bool]:
    """Return who may start in this round, and whether there may be more runs to start.

    A round reads only the first rows of each shape. If all of these start, there may be more of that shape, which come
    before other runs in the order. Then those other runs wait for the next round, except for runs up to which every row
    was read. A group starts in one round or not at all.

    A run that was skipped because of another pool counts as started here. But the next round would skip it again, so
    the runs behind it wait for the next pass.
    """
    starts = [d for d in decisions if isinstance(d, Admit) or (isinstance(d, Wait) and d.run.execution_id in put_off)]
    end = next((i for i, d in enumerate(starts, start=1) if d.run.execution_id in found.last), None)
    if end is None:
        return [d for d in starts if isinstance(d, Admit)], False
    more = isinstance(starts[end - 1], Admit)
    if found.whole is not None:
        sure = sum(rank(d.run, known.limits) <= found.whole for d in starts)
        end = max(end, sure)
    later = {d.run.group for d in starts[end:] if d.run.group is not None}
    return [d for d in starts[:end] if isinstance(d, Admit) and d.run.group not in later], more
