"""What a file does in which order: stages in turn, with faults together in each. A pause is a stage without faults.

An experiment here has its faults together or in turn, and nothing in between. What is neither is refused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from chaos.fault_types import MOST_FAULTS
from chaos.imports.collecting import Findings, ImportedCheck, ImportedFault
from model.json_values import JsonObject
from model.lenient import mapping
from model.problems import Location

SHORTEST_SECONDS = 5
MOST_STAGES = 4 * MOST_FAULTS
"""More than an experiment may have. One more is kept while a file is read, so that it is refused and not cut off."""
DEEPEST = 50
"""Templates that name one another, each within the one before."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Faults that begin together, and then a pause; one of both may be missing."""

    faults: tuple[ImportedFault, ...] = ()
    pause_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one part of a file says. `halts` are limits that end the experiment."""

    stages: tuple[Stage, ...] = ()
    checks: tuple[ImportedCheck, ...] = ()
    halts: tuple[JsonObject, ...] = ()
    schedules: tuple[JsonObject, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Return how long it takes; None if a fault has no length."""
        total = 0.0
        for stage in self.stages:
            lengths = [_lasts(fault) for fault in stage.faults]
            if None in lengths:
                return None
            total += max((length for length in lengths if length is not None), default=0.0) + stage.pause_seconds
        return total

    @property
    def faults(self) -> tuple[ImportedFault, ...]:
        """Return all faults, in the order of the file."""
        return tuple(fault for stage in self.stages for fault in stage.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Reads each template of a workflow once, however often it is named, and refuses one that contains itself."""

    done: dict[str, Piece] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def visit(self, name: str, read: Callable[[], Piece], refuse: Callable[[str], None]) -> Piece:
        """Return what a template does."""
        if name in self.open:
            refuse(f"{name!r} contains itself")
            return Piece()
        if len(self.open) == DEEPEST:
            refuse(f"{name!r} stands in {DEEPEST} templates, one within the other: write shorter files")
            return Piece()
        if name not in self.done:
            self.open.append(name)
            self.done[name] = read()
            self.open.remove(name)
        return self.done[name]


def _lasts(fault: ImportedFault) -> float | None:
    """Return how long a fault lasts; a kill without a length is over at once, and None is not known."""
    seconds = fault.fault.get("durationSeconds")
    return float(seconds) if isinstance(seconds, int) else 0.0 if _once(fault) else None


def in_turn(pieces: Iterable[Piece]) -> Piece:
    """Return the pieces one after the other."""
    listed = list(pieces)
    return _joined(listed, tuple(stage for piece in listed for stage in piece.stages))


def together(pieces: Iterable[Piece], location: Location, findings: Findings) -> Piece:
    """Return the pieces at the same time."""
    listed = list(pieces)
    acting = [piece.stages for piece in listed if piece.faults]
    if len(acting) > 1 and any(len(stages) > 1 for stages in acting):
        findings.refuse(location, "has faults partly together and partly in turn: write one file for each part")
    every = (fault for one in listed for fault in one.faults)
    stages = acting[0] if len(acting) == 1 else (Stage(faults=tuple(islice(every, MOST_FAULTS + 1))),)
    return _joined(listed, (*stages, Stage(pause_seconds=_longer_than(stages, listed))))


def _longer_than(stages: tuple[Stage, ...], pieces: Sequence[Piece]) -> float:
    """Return for how long a pause beside the faults goes on after them; 0 if their length is not known."""
    pause = max((piece.seconds or 0.0 for piece in pieces if not piece.faults), default=0.0)
    lasts = Piece(stages=stages).seconds
    return 0.0 if lasts is None else max(pause - lasts, 0.0)


def _joined(pieces: Sequence[Piece], stages: tuple[Stage, ...]) -> Piece:
    return Piece(
        stages=tuple(stage for stage in stages if stage.faults or stage.pause_seconds)[: MOST_STAGES + 1],
        checks=_each_once(check for piece in pieces for check in piece.checks),
        halts=_each_once(halt for piece in pieces for halt in piece.halts),
        schedules=_each_once(schedule for piece in pieces for schedule in piece.schedules),
        names=_each_once(name for piece in pieces for name in piece.names),
    )


def _each_once(values: Iterable[T]) -> tuple[T, ...]:
    """Return the values without repetitions: a template may be named many times, and by templates of that kind."""
    found: list[T] = []
    found.extend(value for value in values if value not in found)
    return tuple(found)


def without_pauses(piece: Piece, findings: Findings) -> Piece:
    """Return the piece with its pauses added to the length of the kills before them. Others are refused or told."""
    stages: list[Stage] = []
    if len(piece.stages) > MOST_STAGES:
        where = piece.faults[-1].location if piece.faults else ()
        findings.refuse(where, f"is one of more than {MOST_STAGES} faults and pauses in turn: write shorter files")
    for position, stage in enumerate(piece.stages):
        if stage.faults:
            stages.append(stage)
        elif stages and all(_once(fault) for fault in stages[-1].faults):
            stages[-1] = replace(stages[-1], pause_seconds=stages[-1].pause_seconds + stage.pause_seconds)
        elif stages and any(later.faults for later in piece.stages[position:]):
            where = stages[-1].faults[0].location
            findings.refuse(where, "is followed by a pause before the next fault: write one file for each fault")
        else:
            findings.note("A pause before or after all faults is left out: baseline and recovery are measured there.")
    return replace(piece, stages=tuple(_longer(stage) if stage.pause_seconds else stage for stage in stages))


def _once(fault: ImportedFault) -> bool:
    return bool(mapping(fault.fault.get("parameters")).get("once"))


def _longer(stage: Stage) -> Stage:
    """Return kills that last through the pause after them, until the next fault begins."""
    length = max(round(Piece(stages=(stage,)).seconds or 0.0), SHORTEST_SECONDS)
    longer = [replace(one, fault=one.fault | {"durationSeconds": length}) for one in stage.faults]
    return replace(stage, faults=tuple(longer))
