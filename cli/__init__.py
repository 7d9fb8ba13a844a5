"""The `assay` command. It writes data to stdout and messages to stderr.

Belongs here: commands, what they print, and the stack of one machine (`stack`).
Does not belong here: decisions about runs. No other package imports this one. All commands use the REST API, except up,
down, status, env, validate, simulate, and those that say so.
May do I/O: yes.

Commands:

    main                 mounts all commands, and turns errors into exit codes
    runs                 run, wait, list, show, cancel, retry
    outcomes             logs, results, artifacts
    explaining           queue, explain
    limits               quota, pool
    people               team, user
    admin                nodes, statistics, secret, deploy, validate
    clusters             cluster
    simulate             simulate
    events               events
    services             services
    chaos                chaos validate, plan, providers
    chaos_runs           chaos run, abort, status, show, list, report, stop, resume, target
    chaos_render         chaos render
    chaos_import         chaos import
    chaos_score          chaos score
    chaos_approvals      chaos approve, deny
    chaos_connections    chaos connect, disconnect, connections

What they share:

    client               the client of the REST API
    connection           connects a command to its API
    server_discovery     finds the servers
    parameters           parameters, and the completion of ids
    output               tables, lines and JSON
    screen               pictures of runs that are watched
    watch                watches runs until they end
    chaos_watch          watches an experiment
    logs                 follows logs
    found_run            finds a run of any kind by its id
    words                the state of runs in words
    failure              errors, and the exit code of each
    suite_file           reads suite and test files
    chaos_file           reads the file of an experiment
    rules_file           reads a file whose content the server checks
    pack                 packs a folder
    deploying            what commands ask of Prefect itself
    simulating           runs simulations

The stack:

    stack                starts, keeps alive and ends PostgreSQL, Prefect, the API and the worker
"""
