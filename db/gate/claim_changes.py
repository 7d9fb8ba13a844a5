"""Change what queued runs claim, whether they wait or hold a place. Each pass reads the claims of the rows."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from db.gate.queue_rows import Kind, labels_of, shape_digest, shape_of
from db.sql_text import statement
from model.ids import ExecutionId, GroupId

_LOCK = statement("SELECT id FROM runs WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE")
_ROWS = statement("""
SELECT execution_id, user_id, team_id, cpu_milli, memory_bytes, ephemeral_bytes, gpu, group_id,
    CAST(constraints AS text) AS constraints, CAST(labels AS text) AS labels
FROM queue WHERE execution_id = ANY(CAST(:ids AS uuid[])) ORDER BY execution_id FOR UPDATE
""")
_CHANGE = statement("UPDATE queue SET exclusive = :exclusive, shape = :shape WHERE execution_id = :execution_id")


def lock(conn: Connection, runs: Collection[ExecutionId]) -> None:
    """Lock runs in order of id, before their rows of the queue: nobody ends them or sends them back meanwhile."""
    conn.execute(_LOCK, {"ids": list(runs)})


def change(conn: Connection, claims: Mapping[ExecutionId, tuple[str, ...]]) -> None:
    """Let queued runs claim these entries from now on. The caller has locked them. What is not queued stays as it is.

    It is not asked whether the entries are free: the caller gives up a claim that has kept others out of them.
    """
    for row in conn.execute(_ROWS, {"ids": list(claims)}).all():
        kind = Kind(
            user_id=row.user_id,
            team_id=row.team_id,
            shape=shape_of(row.cpu_milli, row.memory_bytes, row.ephemeral_bytes, row.gpu, row.constraints),
            labels=labels_of(row.labels),
            exclusive=claims[ExecutionId(row.execution_id)],
            group=None if row.group_id is None else GroupId(row.group_id),
        )
        values = {"exclusive": list(kind.exclusive), "shape": shape_digest(kind), "execution_id": row.execution_id}
        conn.execute(_CHANGE, values)
