"""Sums that may be in use at once, of a user, a team or a pool, as people write them; and how forms with them are read.

A form changes what it names: a key that is not there leaves its setting as it is, and null takes a limit away.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from pydantic import Field

from db.errors import NotFoundError
from model.examine import refuse
from model.fields import FORBID, ByteSum, CpuSum
from model.lenient import mapping
from model.plain import plain
from model.problems import Finding
from model.quantity import milli, whole
from model.reading import Reader

T = TypeVar("T")
Rule: TypeAlias = Callable[[dict[str, Any]], Iterator[Finding]]
LARGEST = 2**31 - 1
NULLABLE = frozenset({"maxCpu", "maxMemory", "maxEphemeralStorage", "maxGpu"})
_IN_NUMBERS = {
    "maxCpu": ("max_cpu_milli", milli),
    "maxMemory": ("max_memory_bytes", whole),
    "maxEphemeralStorage": ("max_ephemeral_bytes", whole),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingForm:
    """What runs may hold together. null: no limit."""

    __pydantic_config__ = FORBID

    max_cpu: Annotated[CpuSum | None, Field(description="CPU, for example 4 or 500m; null: no limit")] = None
    max_memory: Annotated[ByteSum | None, Field(description="Memory, for example 8Gi; null: no limit")] = None
    max_ephemeral_storage: Annotated[ByteSum | None, Field(description="Scratch disk; null: no limit")] = None
    max_gpu: Annotated[int | None, Field(ge=0, le=LARGEST, description="Whole GPUs; null: no limit")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """A form that was read: its values, and which keys its sender wrote."""

    form: T
    given: Mapping[str, object]

    def ceilings(self) -> dict[str, int | None]:
        """Return the sums that were given, in numbers, by column; None for one to take away."""
        sums = {column: (self.given[key], read) for key, (column, read) in _IN_NUMBERS.items() if key in self.given}
        found = {column: None if value is None else read(str(value)) for column, (value, read) in sums.items()}
        return found | ({"max_gpu": getattr(self.form, "max_gpu", None)} if "maxGpu" in self.given else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A name in a form, or beside it, that nobody has."""

    path: str
    kind: str
    name: str

    def finding(self) -> Finding:
        """Return it as one problem among others."""
        return Finding(location=(self.path,), message=f"there is no {self.kind} {self.name}")


def read_change(
    reader: Reader[T],
    raw: object,
    *,
    nullable: frozenset[str],
    unknown: Sequence[Unknown] = (),
    rules: Sequence[Rule] = (),
) -> Change[T]:
    """Read a form; only the keys in `nullable` can be null.

    Raises: InvalidError with all problems, those with names too; NotFoundError where a name is all that is wrong.
    """
    seen = plain(raw)
    reading = reader.read(seen.value)
    whole = mapping(reading.raw)
    known = {finding.location for finding in reading.findings}
    broken = [one for rule in (_no_null(nullable), *rules) for one in rule(whole) if one.location not in known]
    findings = (*reading.findings, *map(reading.as_sent, broken))
    if unknown and not findings and not seen.findings:
        raise NotFoundError(unknown[0].kind, unknown[0].name)
    refuse(seen, (*findings, *(one.finding() for one in unknown)))
    return Change(form=reading.required(), given=whole)


def _no_null(nullable: frozenset[str]) -> Rule:
    def rule(raw: dict[str, Any]) -> Iterator[Finding]:
        for key, value in raw.items():
            if value is None and key not in nullable:
                yield Finding(location=(key,), message="must not be null: leave it out to keep it as it is")

    return rule
