"""Reads what health checks of type command have seen, from the log of the run that makes them.

The lines are those of `executors/health_check_program.py`. Commands of users run beside it: anything may be among them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from chaos.observed import HealthLook

READ_SECONDS = 0.5
"""Between two looks at the log. A worker carries it on once a second."""
MOST_BYTES = 1_000_000


class LookLine(BaseModel):
    """A line of the program."""

    check: str
    at: AwareDatetime
    healthy: bool
    detail: Annotated[str, Field(max_length=10_000)] = ""


class CommandLooks:
    """The looks of the health checks of type command, by check. `read` reads the log: offset and limit in bytes."""

    def __init__(self, checks: Sequence[str], read: Callable[[int, int], bytes]) -> None:
        self._checks = frozenset(checks)
        self._read = read
        self._offset = 0
        self._looks: dict[str, list[HealthLook]] = defaultdict(list)

    @property
    def looks(self) -> Mapping[str, Sequence[HealthLook]]:
        """Return the looks until now, each check's in order of time."""
        return self._looks

    @property
    def all_began(self) -> bool:
        """Say whether each check has looked at least once."""
        return self._checks <= self._looks.keys()

    async def follow(self) -> None:
        """Read on until this is cancelled."""
        while True:
            await self.read_on()
            await asyncio.sleep(READ_SECONDS)

    async def read_on(self) -> None:
        """Read the whole lines that came since."""
        while True:
            part = await asyncio.to_thread(self._read, self._offset, MOST_BYTES)
            whole = part[: part.rfind(b"\n") + 1]
            if not whole and len(part) == MOST_BYTES:
                whole = part  # no line of ours is that long
            self._offset += len(whole)
            for line in whole.splitlines():
                self._take(line)
            if len(part) < MOST_BYTES:
                return

    def _take(self, line: bytes) -> None:
        try:
            seen = LookLine.model_validate_json(line)
        except ValidationError:
            return
        looks = self._looks[seen.check] if seen.check in self._checks else []
        if not looks or seen.at > looks[-1].at:
            looks.append(HealthLook(at=seen.at, healthy=seen.healthy, detail=seen.detail))
