"""Chaos Mesh by a stand-in, in the cluster that KUBECONFIG names. Each object is injected, and recovers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.fault_types import Provider
from cluster.faults.chaos_mesh import ChaosMeshFaults
from harness.operator_beds import Operator, OperatorBed, operator_bed
from harness.operators.chaos_mesh import MESH_SCRIPTS, PLURALS, mesh_actor
from harness.shop_in_cluster import MESH_MANIFEST
from harness.sweep import part

API = "/apis/chaos-mesh.org/v1alpha1"
MARKS = (pytest.mark.cluster, part(2))
CHAOS_MESH = Operator(
    name="chaos-mesh",
    provider=Provider.CHAOS_MESH,
    manifest=MESH_MANIFEST,
    paths=lambda namespace: tuple(f"{API}/namespaces/{namespace}/{one}" for one in PLURALS),
    script=MESH_SCRIPTS["deleted"],
    actor=mesh_actor,
    make=lambda guards, patience: ChaosMeshFaults(guards=guards, heartbeat_seconds=patience),
)


@asynccontextmanager
async def fault_bed(_folder: Path) -> AsyncIterator[OperatorBed]:
    async with operator_bed(CHAOS_MESH) as world:
        yield world
