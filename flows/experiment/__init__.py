"""What the flow of an experiment does, from the submit to the report.

Belongs here: the steps of an experiment, and what goes on beside them. `chaos.experiment_states` says what comes next.
Does not belong here: verdicts (`chaos`), fault providers (`cluster.faults`), rows (`db`, `orchestrator.experiments`).
May do I/O: yes.

    entry        submits it, or finds its run
    run          one experiment in a worker's hands
    driver       carries out the commands of its state
    steps        its steps
    safety       safety checks, with a record of what was seen
    preflight    signed webhooks before the first fault
    faults       its faults: written down, injected, kept, reverted, verified
    reverts      takes one fault back
    keeper       signs of life for its faults, and what asks for its end
    observer     load, health checks and metrics while it runs
    connections  the connections that it asks
    reach        what it may send requests to
    alerts       tells Alertmanagers
    companions   the test runs that it starts
    suite        the tests of the suite that carries it
    findings     journal, report and metrics
"""
