"""Litmus by a stand-in, in the cluster that KUBECONFIG names. Each engine runs until it is stopped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.fault_types import Provider
from cluster.faults.litmus import LitmusFaults
from harness.operator_beds import Operator, OperatorBed, operator_bed
from harness.operators.litmus import GROUP, LITMUS_SCRIPTS, engine_actor
from harness.shop_in_cluster import LITMUS_MANIFEST
from harness.sweep import part

MARKS = (pytest.mark.cluster, part(1))
LITMUS = Operator(
    name="litmus",
    provider=Provider.LITMUS,
    manifest=LITMUS_MANIFEST,
    paths=lambda namespace: (f"{GROUP}/namespaces/{namespace}/chaosengines",),
    script=LITMUS_SCRIPTS["aborted"],
    actor=engine_actor,
    make=lambda guards, patience: LitmusFaults(guards=guards, heartbeat_seconds=patience),
)


@asynccontextmanager
async def fault_bed(_folder: Path) -> AsyncIterator[OperatorBed]:
    async with operator_bed(LITMUS) as world:
        yield world
