"""What a test has used in its last runs, by its owner and name, so also in other versions of it."""

from collections.abc import Collection

from sqlalchemy import Connection, text

from model.ids import DefinitionId, PoolName
from model.resources import LEAST_CPU_MILLI, LEAST_MEMORY, Used

RUNS = 20
"""Runs that count, the newest."""
VERSIONS = 20
"""Versions of a test that are looked at, the newest."""

_LAST = """
SELECT DISTINCT ON (last.execution_id) (d.metrics->>'peak_cpu_milli')::float AS cpu,
    (d.metrics->>'peak_memory_bytes')::float AS memory
FROM (
    SELECT a.execution_id FROM (
        SELECT other.id FROM test_definitions other
        WHERE other.owner_id = me.owner_id AND other.name = me.name ORDER BY other.created_at DESC, other.id
        LIMIT :versions
    ) AS version CROSS JOIN LATERAL (
        SELECT execution_id, ended_at FROM test_attempts
        WHERE definition_id = version.id AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT :runs
    ) AS a ORDER BY a.ended_at DESC, a.execution_id LIMIT :runs
) AS last JOIN test_run_details d ON d.execution_id = last.execution_id
WHERE d.metrics->>'peak_cpu_milli' IS NOT NULL AND d.metrics->>'peak_memory_bytes' IS NOT NULL
"""
_USED = text(f"""
SELECT me.id, count(*) AS runs, percentile_disc(0.95) WITHIN GROUP (ORDER BY used.cpu) AS cpu,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY used.memory) AS memory,
    most.cpu AS most_cpu, most.memory AS most_memory
FROM test_definitions me CROSS JOIN LATERAL ({_LAST}) AS used
CROSS JOIN (SELECT max(cpu_milli) AS cpu, max(memory_bytes) AS memory FROM nodes WHERE pool = :pool) AS most
WHERE me.id = ANY(CAST(:ids AS uuid[])) GROUP BY me.id, most.cpu, most.memory
""")  # noqa: S608  only our own text


def used(conn: Connection, pool: PoolName, definitions: Collection[DefinitionId]) -> dict[DefinitionId, Used]:
    """Return what each test used at the 95th percentile, of those that have run.

    It is never more than the largest node of the pool has: a test that once had a whole node must still find one.
    """
    if not definitions:
        return {}
    asked = {"ids": sorted(definitions), "pool": pool, "runs": RUNS, "versions": VERSIONS}
    return {
        DefinitionId(row.id): Used(
            cpu_milli=_bounded(row.cpu, LEAST_CPU_MILLI, row.most_cpu),
            memory_bytes=_bounded(row.memory, LEAST_MEMORY, row.most_memory),
            runs=row.runs,
        )
        for row in conn.execute(_USED, asked)
    }


def _bounded(amount: float, least: int, most: int | None) -> int:
    wanted = max(least, round(amount))
    return wanted if most is None else min(wanted, most)
