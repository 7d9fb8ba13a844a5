"""How many may run at once: in the pool, of a team, of a user. The last two hold over all pools."""

from uuid import UUID

from scheduler.pool import Owner
from scheduler.reasons import Code, Reason
from scheduler.run import Queued
from scheduler.state import Counts, State


def limited(run: Queued, state: State, used: Counts, held: Counts) -> Reason | None:
    """Return the limit that keeps `run` waiting, None if there is none.

    `used` are the places in use, `held` those kept free for runs that waited too long.
    """
    return (
        pool_limited(state, used, held)
        or _team_limited(run, state, used, held)
        or _user_limited(run, state, used, held)
    )


def pool_limited(state: State, used: Counts, held: Counts) -> Reason | None:
    """Return the reason for which nobody at all may start, None if the pool has room."""
    limit = state.limits.ceiling.runs
    if limit is None:
        return None
    if used.pool >= limit:
        return Reason(code=Code.POOL_LIMIT, text=f"the pool runs {used.pool} of {limit}")
    if used.pool + held.pool >= limit:
        return _kept(f"the pool runs {used.pool} of {limit}", held.pool)
    return None


def _team_limited(run: Queued, state: State, used: Counts, held: Counts) -> Reason | None:
    if run.team_id is None:
        return None
    here = (used.teams[run.team_id], held.teams[run.team_id])
    return _owner_limited(Code.TEAM_LIMIT, state.owners.get(run.team_id), here)


def _user_limited(run: Queued, state: State, used: Counts, held: Counts) -> Reason | None:
    here = (used.users[run.user_id], held.users[run.user_id])
    return _owner_limited(Code.USER_LIMIT, state.owners.get(run.user_id), here)


def _owner_limited(code: Code, owner: Owner | None, here: tuple[int, int]) -> Reason | None:
    limit = None if owner is None else owner.ceiling.runs
    if owner is None or limit is None:
        return None
    used, held = here[0] + owner.elsewhere_runs, here[1]
    if used + held < limit:
        return None
    kind = "team" if code is Code.TEAM_LIMIT else "user"
    text = f"{kind} {owner.name} runs {used} of {limit}"
    if used < limit:
        return _kept(text, held)
    return Reason(code=code, text=f"{text} ({owner.elsewhere_runs} in other pools)" if owner.elsewhere_runs else text)


def _kept(text: str, held: int) -> Reason:
    return Reason(code=Code.RESERVED, text=f"{text}; {held} kept free for runs that waited too long")


def owners_of(run: Queued) -> tuple[UUID, ...]:
    """Return whose limits a run counts against."""
    return (run.user_id,) if run.team_id is None else (run.user_id, run.team_id)
