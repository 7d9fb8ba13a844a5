"""Runs the services of a local environment, as the system under test of experiments: `assay services up FILE`.

A supervisor of its own process keeps them alive, with a small proxy of ours before each port. It outlives any worker,
and knows neither the database nor Prefect. Faults are injected into these services and into nothing else.

    client       asks a supervisor, by its socket
    control      answers what a supervisor is asked
    file         the file of the services: values, and the check of them
    processes    one service: its process, its health, and whether it is held down
    proxy        the proxy before a port: delays, stalls, cuts, answers errors, counts
    starting     starts and stops the supervisor of an environment
    supervisor   the process that keeps all of it alive
"""
