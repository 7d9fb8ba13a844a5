"""Backends, which run attempts, the stores beside them, and what observes systems under test. Carries out decisions.

Belongs here: everything outside that is neither PostgreSQL nor Prefect.
Does not belong here: decisions, and the database.
May do I/O: yes.

    backend           the port to whatever runs attempts
    backend_factory   opens a backend by its name
    local             the backend of this machine: processes
    kubernetes        the backend of a cluster: pods
    fault_providers   opens what an experiment aims at
    faults            injects faults, and takes them back
    services          runs the services of a local environment
    observation       reads metrics, incidents and probes for experiments
    logs              stores the logs of runs
    artifacts         stores the files that runs leave
    contents          stores packed folders that were sent
    secrets           resolves references to secrets
    addresses         which addresses a request may make us connect to
    heartbeats        files that show that a process works
    atomic_folder     folders that appear whole or not at all
    removal           removes what a test may have made
"""
