"""The rows of the gate and the SQL over them: the queue, what a pass reads and writes, what people are shown of it.

Nothing here decides. Who may start is decided by `scheduler`, and `orchestrator.admission` makes a pass.

    queue              a run enters the queue, leaves it, or goes back to wait
    queue_rows         rows to the values of the scheduler and back; the digest of a shape
    queue_watermarks   the numbers at which the live rows begin: readers start there
    queue_position     the position of a run, and why it waits, for people
    pass_locks         who may make a pass: the locks, and the order in which they are taken
    pass_input         what a pass reads: settings of the pool, running runs, the first rows of the queue
    owner_limits       a part of it: the limits of users and teams, and what they use in other pools
    reservations       a part of it: what aged runs of other pools reserve; also what those of this pool do
    pass_output        what a pass writes: who starts, why the others wait, who is asked to stop
    decision_records   a decision as it is recorded, and its way to JSON and back
    fair_usage         the decayed usage of owners (FAIR_SHARE), the only sum that is stored
    change_detection   whether a pass could find anything new
    shares             the shares of owners at this moment, for people
    forecast_input     what the forecasts are made from

The tables are in `db.gate_tables`, since the modules of runs and people join them.
"""
