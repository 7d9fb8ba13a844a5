"""The rows of the gate and the SQL over them: the queue, what a pass reads and writes, what people are shown of it.

Nothing here decides. Who may start is decided by `scheduler`, and `orchestrator.admission` makes a pass.

    queue              a run enters the queue, leaves it, or goes back to wait
    claim_changes      what queued runs claim from now on
    queue_rows         rows to the values of the scheduler and back; the digest of a shape
    queue_watermarks   the numbers at which the live rows begin: readers start there
    queue_position     the position of a run, and why it waits, for people
    pass_locks         who may make a pass: the locks, and the order in which they are taken
    pass_input         what a pass reads: settings of the pool, running runs, the first rows of the queue
    read_rows          the waiting runs that it has read, and how far it has read the order
    owner_limits       a part of it: the limits of users and teams, and what they use in other pools
    reservations       a part of it: what aged runs of other pools reserve; also what those of this pool do
    pass_output        what a pass writes: who starts, why the others wait, who is asked to stop
    repairs            runs that no worker took up, runs that have ended, times in the future
    decision_records   a decision as it is recorded, and its way to JSON and back
    fair_usage         the decayed usage of owners (FAIR_SHARE), the only sum that is stored
    change_detection   whether a pass could find anything new
    shares             the shares of owners at this moment, for people
    forecast_input     what the forecasts are made from

The tables are in `db.gate_tables`, since the modules of runs and people join them.

Rules for the SQL here:

1. A statement is a constant of its module: `Prepared` if it belongs to each pass, else `statement`.
2. A part that several statements share is a constant, too. A statement names it as `$name`, and gets it as an argument:
   `statement("SELECT $columns FROM queue", columns=COLUMNS)`. There is no other way to build SQL.
3. A value is always a parameter (`:name`). Many values are one array: `ANY(CAST(:ids AS uuid[]))`, or `unnest`.
4. An ORDER BY ends in a unique column, unless nothing is read but the column that it sorts by.
5. Whoever locks a run locks its row of `runs` before its row of `queue`. A pass skips locked rows.
6. Times come from the database: `clock_timestamp()`, or the `:now` that the pass has read from it (007.14).
"""
