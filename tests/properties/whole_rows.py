"""All rows of the gate at once: what must hold of them, and whom a plan admits that reads every one."""

from sqlalchemy import Connection

from db.gate import pass_input
from db.gate.read_rows import ReadRows
from model.ids import ExecutionId, PoolName
from scheduler.admission.decisions import Admit
from scheduler.admission.plan import plan

HELD = """
SELECT pool, count(*) FILTER (WHERE backend <> 'experiments') AS runs, sum(cpu_milli) AS cpu
FROM queue WHERE state = 'admitted' GROUP BY pool
"""
BY_TEAM = """
SELECT team_id, count(*) FILTER (WHERE backend <> 'experiments') AS runs, sum(cpu_milli) AS cpu
FROM queue WHERE state = 'admitted' GROUP BY team_id
"""
BY_NODE = """
SELECT node, count(*) AS runs, sum(cpu_milli) AS cpu FROM queue WHERE state = 'admitted' GROUP BY node
"""
BROKEN = """
SELECT 'torn group' FROM queue WHERE group_id IS NOT NULL GROUP BY group_id HAVING count(DISTINCT state) > 1
UNION ALL
SELECT 'claims that conflict'
FROM queue one, queue other, unnest(one.exclusive) AS mine, unnest(other.exclusive) AS its,
    split_part(its, '#', 1) AS path
WHERE one.state = 'admitted' AND other.state = 'admitted' AND one.execution_id <> other.execution_id
    AND strpos(mine, '#') = 0 AND split_part(its, '#', 2) IN ('', 's')
    AND (path = mine OR starts_with(path, mine || '/'))
UNION ALL
SELECT 'no record' FROM queue q WHERE q.state = 'admitted' AND 'admitted' IS DISTINCT FROM (
    SELECT d.record ->> 'kind' FROM decisions d WHERE d.execution_id = q.execution_id AND d.epoch <= q.epoch
        AND d.record ->> 'kind' <> 'preempted' ORDER BY d.number DESC LIMIT 1)  -- taking a run over raises its epoch
UNION ALL
SELECT 'records miscounted' FROM queue q LEFT JOIN decisions d USING (execution_id)
GROUP BY q.execution_id HAVING q.record_count <> count(d) OR q.record_count <> coalesce(max(d.number), 0)
UNION ALL
SELECT 'half a place' FROM queue WHERE (state = 'admitted') <> (node IS NOT NULL) OR state = 'admitted' AND position > 0
"""
POSITIONS = "SELECT position FROM queue WHERE pool = :pool AND state = 'waiting' AND position IS NOT NULL"


def whole_plan(conn: Connection, pool: PoolName) -> set[ExecutionId] | None:
    """Return whom the plan admits that reads every row; None where places are about to be given back first."""
    known = pass_input.facts(conn, pool)
    if known.lost:
        return None
    found = ReadRows()
    query = pass_input._GROUPS.text.split("AND group_id")[0] + "AND (not_before IS NULL OR not_before <= now())"
    found.add(conn.exec_driver_sql(query.replace(":pool", f"'{pool}'")))
    state = pass_input.state(conn, known, found)
    return {d.run.execution_id for d in plan(state, known.now) if isinstance(d, Admit)}
