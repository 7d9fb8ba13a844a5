"""Finds the living processes that carry the mark of a fault, by one look at the table of processes for all who ask.

A look reads the variables of every process. If fifty faults are verified at once, fifty looks would take seconds. So
who asks while a look runs waits for the next one, which all of them share. A look is never older than the question.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from chaos.provider import FaultId
from cluster.local import proc

MARK = "ASSAY_FAULT"
"""The variable that everything of a fault has, so that it is found when its guard is gone."""
_PREFIX = f"{MARK}=".encode()


def marked() -> dict[str, list[int]]:
    """Return the living processes by the fault whose mark they carry."""
    found: dict[str, list[int]] = defaultdict(list)
    for pid in proc.processes():
        for variable in proc.variables(pid):
            if variable.startswith(_PREFIX):
                found[variable.removeprefix(_PREFIX).decode(errors="replace")].append(pid)
    return found


@dataclass(slots=True)
class Marks:
    """Looks at the table of processes for many askers."""

    _running: asyncio.Task[dict[str, list[int]]] | None = None
    _next: asyncio.Task[dict[str, list[int]]] | None = field(default=None)

    async def carriers(self, fault: FaultId) -> list[int]:
        """Return the processes of a fault, by a look that begins after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._look(self._running))
        found = await asyncio.shield(self._next)
        return found.get(fault, [])

    async def _look(self, before: asyncio.Task[dict[str, list[int]]] | None) -> dict[str, list[int]]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._running, self._next = self._next, None  # who asks from now on gets the next look
        return await asyncio.to_thread(marked)
