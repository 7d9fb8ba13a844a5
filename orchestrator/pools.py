"""Show, make and change pools. A change counts from the next pass on, and stops nothing that runs."""

from dataclasses import dataclass, fields, replace
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import Connection

from db import pools
from db.errors import NotFoundError
from db.pools import YEAR, Pool, PoolChange
from model.fields import FORBID, LabelKey, LabelValue, ResourceName
from model.ids import PoolName
from model.reading import Reader
from orchestrator.ceilings import LARGEST, NULLABLE, CeilingForm, Change, Unknown, read_change
from scheduler.values.pool import CANDIDATES, PROFILES, Strategy, profile_named

MOST_RUNS = 100_000


def _profile(name: str) -> str:
    try:
        return profile_named(name).name
    except ValueError:
        raise ValueError(f"must be one of {', '.join(PROFILES)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolForm(CeilingForm):
    """New settings of a pool; what is not given stays."""

    __pydantic_config__ = FORBID

    max_concurrent_tests: Annotated[int | None, Field(ge=0, le=MOST_RUNS, description="Runs at once")] = None
    max_concurrent_experiments: Annotated[
        int | None, Field(ge=0, le=MOST_RUNS, description="Chaos experiments at once; 0: none starts")
    ] = None
    max_daily_tests: Annotated[
        int | None, Field(ge=0, le=LARGEST, description="Runs that may be submitted a day (UTC); null: no limit")
    ] = None
    strategy: Annotated[Strategy | None, Field(description="Who goes first, and who may overtake")] = None
    profile: Annotated[str | None, AfterValidator(_profile), Field(description="How nodes are scored")] = None
    candidates: Annotated[
        int | None, Field(ge=CANDIDATES[0], le=CANDIDATES[1], description="Nodes that a run may be bound to")
    ] = None
    ageing_limit_seconds: Annotated[
        float | None, Field(gt=0, le=YEAR, description="Waiting time that one step of priority is worth")
    ] = None
    backfill_after_seconds: Annotated[
        float | None, Field(ge=0, le=YEAR, description="After this wait room is kept for the first that is blocked")
    ] = None
    half_life_seconds: Annotated[
        float | None, Field(gt=0, le=YEAR, description="After this what a team has used counts half (FAIR_SHARE)")
    ] = None
    preemption: Annotated[bool | None, Field(description="May a more important run stop restartable ones")] = None
    min_runtime_seconds: Annotated[
        float | None, Field(ge=0, le=YEAR, description="What a run may run before it can be stopped for another")
    ] = None
    enable_spot_instances: Annotated[bool | None, Field(description="May runs go to spot nodes")] = None
    target_node_utilization: Annotated[float | None, Field(gt=0, le=1, description="Share of a node to aim at")] = None
    scheduling_interval_seconds: Annotated[
        float | None,
        Field(
            ge=0.1,
            le=3600,
            description="Between two passes while nothing happens",
        ),
    ] = None
    default_node_selector: Annotated[
        dict[LabelKey, LabelValue] | None, Field(max_length=50, description="Labels that nodes must have")
    ] = None
    fixed_nodes: Annotated[
        bool | None, Field(description="No larger node will come: what is larger than all is refused at submit")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPoolForm(PoolForm):
    """A pool to add: its name, and what shall differ from the defaults."""

    __pydantic_config__ = FORBID

    name: ResourceName


FORM = Reader(PoolForm)
MAY_BE_NULL = NULLABLE | {"maxDailyTests"}
NEW_FORM = Reader(NewPoolForm)
_OWN = tuple(f.name for f in fields(PoolForm) if f.name not in {g.name for g in fields(CeilingForm)})


def show(conn: Connection, name: PoolName) -> Pool:
    """Return the settings of a pool. Raises: NotFoundError."""
    return pools.read(conn, name)


def every(conn: Connection) -> list[Pool]:
    """Return all pools, by name."""
    return pools.every(conn)


def change(conn: Connection, name: PoolName, raw: object) -> Pool:
    """Change what is given.

    Raises: InvalidError with all problems; NotFoundError where the only one is that there is no such pool.
    """
    unknown = () if _exists(conn, name) else (Unknown(path="name", kind="pool", name=name),)
    return pools.update_pool(conn, name, _change(read_change(FORM, raw, nullable=MAY_BE_NULL, unknown=unknown)))


def create(conn: Connection, raw: object) -> Pool:
    """Add a pool. Raises: InvalidError with all problems; ConflictError if there is one of that name."""
    wanted = read_change(NEW_FORM, raw, nullable=MAY_BE_NULL)
    values = _change(wanted).values()
    return pools.create(conn, replace(Pool(name=PoolName(wanted.form.name)), **values))  # type: ignore[arg-type]  # by name


def _exists(conn: Connection, name: PoolName) -> bool:
    try:
        pools.read(conn, name)
    except NotFoundError:
        return False
    return True


def _change(wanted: Change[PoolForm] | Change[NewPoolForm]) -> PoolChange:
    own = {name: getattr(wanted.form, name) for name in _OWN}
    sums = wanted.ceilings()
    unlimited = {name for name, most in sums.items() if most is None}
    if "maxDailyTests" in wanted.given and wanted.form.max_daily_tests is None:
        unlimited.add("max_daily_tests")
    return PoolChange(**own, **sums, unlimited=frozenset(unlimited))  # type: ignore[arg-type]  # by name
