"""The entry by Prefect: flows and their tasks, the worker that runs them in its process, and the sync of states.

Belongs here: flows, their steps, and the jobs that a worker repeats. This package chooses the stores, the backends, the
clock and the settings of the worker process.
Does not belong here: decisions (the pure packages have these), use cases (`orchestrator`), SQL (`db`).
May do I/O: yes.

The flows and what they share:

    test_run                the flow of one test run
    suite_run               the flow of a suite
    chaos_experiment        the flow of one experiment
    entry                   the first and last steps of a flow: submit or find its run, wait, read the verdict
    kinds                   the flow of each kind of run
    gate_runs               the steps of runs that need no node
    form                    the schema of a parameter as a form of the Prefect UI
    shown_steps             the steps before an attempt, on Prefect's page of the run
    recorded_tasks          steps as task runs
    prefect_artifacts       progress, and the table and summary at the end
    states                  verdicts as states of Prefect

The steps of a test run:

    attempts                the four steps of one attempt, as tasks of Prefect or without it
    steps                   launch, watch, collect, record
    launching               the order by which a backend launches an attempt
    judging                 what became of an attempt
    cancellation_watch      whether a run is still wanted while it is being prepared

The steps of a suite:

    suites                  submit or find the suite run, wait for its tests
    suite_page              the table of its tests

The steps of an experiment:

    experiment              what the flow of an experiment does

The worker:

    worker                  the worker type `assay`
    worker_main             its process
    worker_context          what its flows share
    settings                its settings
    wiring                  which database, stores and backends it has
    engine                  runs flows in its event loop
    entrypoints             which deployments it runs
    dispatcher              claims admitted runs, starts their flows, brings each to a verdict
    wakeups                 wakes coroutines that wait for a notice
    pass_batcher            callers that ask at the same time share one pass of the gate
    flow_run_binding        the flow run of a run that is about to start
    flow_run_names          names and tags of flow runs
    task_runs               ends task runs that a killed worker left

The jobs of a worker:

    periodic                repeats them
    services                says which there are
    gate_poller             passes of the gate
    forecasting             forecasts
    node_recorder           facts of the nodes
    served_clusters         opens clusters as their rows appear
    mirror                  our runs as flow runs of Prefect
    reconciler              keeps the states of Prefect and of our rows equal
    fault_collector         reverts faults that nobody owns any more
    leftovers               ends attempts that are not wanted any more
    lost_nodes              gives up the runs of nodes that are lost
    orphaned_suites         takes over suites whose worker is gone

Deployments:

    deploying               registers work pool, deployments and block types
    schedules               schedules of suite files as schedules of Prefect
    prefect_calendar        a schedule in the form of Prefect's calendar
"""
