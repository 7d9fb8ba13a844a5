"""PostgreSQL: tables, migrations, repositories, the gate's SQL, the embedded server.

All SQL stands here, and nothing else does: no decision about what should run (scheduler), no process but PostgreSQL.
"""
