"""How much may be in use at once: in the pool, by a team, by a user. The last two hold over all pools."""

from dataclasses import dataclass
from uuid import UUID

from scheduler.values.node_arrays import KINDS
from scheduler.values.pool import Ceiling, Owner
from scheduler.values.reasons import Code, Reason, amount
from scheduler.values.usage_totals import NOTHING, POOL, Demand, UsageTotals, need


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLimit:
    """The limits of the pool, of a team or of a user, and what of them is in use elsewhere. `what` is for people."""

    owner: UUID
    what: str
    runs: Code
    resources: Code
    most: tuple[int | None, ...]
    elsewhere: Demand = NOTHING

    @property
    def limits(self) -> bool:
        """False when there is no limit at all."""
        return any(limit is not None for limit in self.most)


def most(ceiling: Ceiling) -> tuple[int | None, ...]:
    """Return the limits in the order of `Demand`."""
    return (ceiling.runs, ceiling.cpu_milli, ceiling.memory_bytes, ceiling.ephemeral_bytes, ceiling.gpu)


def pool_bound(ceiling_most: tuple[int | None, ...]) -> QuotaLimit:
    """Return the pool's own limits."""
    runs, resources = Code.POOL_LIMIT, Code.POOL_RESOURCES
    return QuotaLimit(owner=POOL, what="the pool", runs=runs, resources=resources, most=ceiling_most)


def bound_of(owner_id: UUID, owner: Owner, *, team: bool) -> QuotaLimit:
    """Return the limits of a team or user."""
    return QuotaLimit(
        owner=owner_id,
        what=f"{'team' if team else 'user'} {owner.name}",
        runs=Code.TEAM_LIMIT if team else Code.USER_LIMIT,
        resources=Code.TEAM_RESOURCES if team else Code.USER_RESOURCES,
        most=most(owner.ceiling),
        elsewhere=need(owner.elsewhere, owner.elsewhere_runs),
    )


def over(bound: QuotaLimit, asked: Demand, used: Demand, held: Demand = NOTHING) -> int | None:
    """Return the first kind of which there is not enough left, None if all is well; only what is asked for counts."""
    for kind, limit in enumerate(bound.most):
        if limit is None or not asked[kind]:
            continue
        if used[kind] + bound.elsewhere[kind] + held[kind] + asked[kind] > limit:
            return kind
    return None


def beyond(bound: QuotaLimit, asked: Demand) -> bool:
    """Return whether so much is never allowed, even if nothing else is in use anywhere."""
    return bool(excess(bound, asked))


def excess(bound: QuotaLimit, asked: Demand) -> list[int]:
    """Return the kinds of which more is asked for than may ever be in use."""
    return [kind for kind, limit in enumerate(bound.most) if limit is not None and asked[kind] > limit]


def never(bound: QuotaLimit, asked: Demand, used: UsageTotals) -> Reason | None:
    """Return the limit that a run is beyond whatever ends: it has to be raised, or less be asked for."""
    kinds = excess(bound, asked)
    if not kinds:
        return None
    kind = kinds[0]
    if kind == 0:
        return Reason(code=bound.runs, text=_text(bound, kind, asked, used.of(bound.owner)))
    code = Code.TOO_LARGE if bound.owner == POOL else bound.resources
    return Reason(code=code, text=oversize(bound, kind, asked))


def oversize(bound: QuotaLimit, kind: int, asked: Demand) -> str:
    """Return that a run asks for more than may ever be in use: 'needs 8000m CPU; the pool may use 4000m CPU'."""
    name = KINDS[kind - 1]
    return f"needs {amount(name, asked[kind])}; {bound.what} may use {amount(name, bound.most[kind] or 0)}"


def is_full(bound: QuotaLimit | None, sums: UsageTotals) -> bool:
    """Return whether an owner may start nothing more, whatever it asks for."""
    if bound is None or bound.most[0] is None:
        return False
    return sums.of(bound.owner)[0] + bound.elsewhere[0] >= bound.most[0]


def code_of(bound: QuotaLimit, kind: int) -> Code:
    """Return the code of a limit that is reached."""
    return bound.runs if kind == 0 else bound.resources


def exceeded(bound: QuotaLimit, asked: Demand, used: UsageTotals) -> Reason | None:
    """Return the limit that keeps a run waiting, with its numbers."""
    in_use = used.of(bound.owner)
    kind = over(bound, asked, in_use)
    return None if kind is None else limit_reason(bound, kind, asked, in_use)


def limit_reason(bound: QuotaLimit, kind: int, asked: Demand, in_use: Demand) -> Reason:
    """Return that a limit is reached in one kind of amount, with its numbers."""
    return Reason(code=code_of(bound, kind), text=_text(bound, kind, asked, in_use))


def kept_of(bound: QuotaLimit, asked: Demand, used: UsageTotals, held: UsageTotals) -> str | None:
    """Return what there would be enough of, were not some of it kept free: 'the pool runs 1 of 2; 1 kept free'."""
    in_use, kept = used.of(bound.owner), held.of(bound.owner)
    kind = over(bound, asked, in_use, kept)
    if kind is None:
        return None
    amount_kept = str(kept[0]) if kind == 0 else amount(KINDS[kind - 1], kept[kind])
    return f"{_text(bound, kind, asked, in_use)}; {amount_kept} kept free"


def _text(bound: QuotaLimit, kind: int, asked: Demand, used: Demand) -> str:
    elsewhere, limit = bound.elsewhere[kind], bound.most[kind] or 0
    total = used[kind] + elsewhere
    if kind == 0:
        return f"{bound.what} runs {total} of {limit}" + (f" ({elsewhere} in other pools)" if elsewhere else "")
    name = KINDS[kind - 1]
    others = f" ({amount(name, elsewhere)} in other pools)" if elsewhere else ""
    in_use = amount(name, total).split(" ")[0]
    return f"{bound.what} uses {in_use} of {amount(name, limit)}{others}; needs {amount(name, asked[kind])}"
