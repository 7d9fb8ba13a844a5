"""Takes one fault back: revert, verify, and again while something is left. Needs neither database nor Prefect."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from chaos.provider import FaultStatus
from cluster.faults.provider import Effect, FaultProvider
from db.chaos_faults import FaultRow

TRIES = 3
"""So often a revert is tried that leaves something, before that counts as a residual."""
PATIENCE = 60.0
"""Seconds for which a provider may fail to answer, for example because the cluster is away."""
PAUSE = 0.5
NOT_SEEN = Effect(seen=False, sentence="no effect could be read")

log = logging.getLogger("assay.experiments")


async def take_back(faults: FaultProvider, row: FaultRow, clock: Callable[[], datetime]) -> FaultRow:
    """Revert one fault as often as it takes, and return its row as it is then: reverted, or residual."""
    remains = await _reverted(faults, row)
    effect = await _effect(faults, row)
    return replace(
        row,
        status=FaultStatus.RESIDUAL if remains else FaultStatus.REVERTED,
        reverted_at=clock(),
        effect=row.effect or effect.sentence,
        effect_seen=bool(row.effect_seen) or effect.seen,
        remains=remains,
    )


async def _effect(faults: FaultProvider, row: FaultRow) -> Effect:
    """Return what the fault was seen to do. What is not known was not seen."""
    try:
        async with asyncio.timeout(2.0):
            return await faults.effect(row.fault_id)
    except Exception as error:  # noqa: BLE001  whatever it is, the fault is reverted
        log.warning("the effect of %s is not known: %r", row.fault_id, error)
        return NOT_SEEN


async def _reverted(faults: FaultProvider, row: FaultRow) -> tuple[str, ...]:
    """Revert until nothing is left. Return what is left after the last try."""
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + PATIENCE, 0
    remains: tuple[str, ...] = ("it was never looked at",)
    while tries < TRIES and loop.time() < until:
        try:
            await faults.revert(row.fault_id)
            remains = await faults.verify(row.fault_id)
        except Exception as error:  # noqa: BLE001  whatever it is, it is tried again
            log.warning("%s is not reverted yet: %r", row.fault_id, error)
            remains = (f"it is not known whether it is reverted: {error}",)
        else:
            tries += 1
            if not remains:
                return ()
        await asyncio.sleep(PAUSE)
    return remains
