"""PostgreSQL: tables, migrations, repositories, the gate's SQL, the embedded server.

Belongs here: all SQL.
Does not belong here: decisions about what should run (`scheduler`), and processes other than PostgreSQL.
May do I/O: yes.

The database:

    table_base           what all tables share
    tables               the tables of runs, people and what runs leave
    gate_tables          the tables of the gate
    chaos_tables         the tables of experiments
    migrations           the way from one version of the tables to the next
    migrate              brings a database to a version
    seeds                the rows that every database has
    engine               connections and threads
    errors               what can be wrong with a call, and who must act
    locks                the numbers of all advisory locks
    prepared             statements that a session parses once
    sql_text             statements from parts
    text                 texts from outside, fit for PostgreSQL
    identifiers          a row by any beginning or end of its id
    page                 which part of a list is wanted
    embedded             the embedded server
    programs             its programs and its user

Runs:

    runs                 runs of every kind, and the one function that changes their status
    executions           what only tests have
    suites               what only suites have
    suite_windows        suites that carry an experiment
    definitions          what is run, once for each owner, name and version
    attempts             the launches of an execution
    results              results and files of attempts
    leases               which worker has a run, until when, under which epoch
    outbox               every end of a run, for subscribers
    notices              what processes tell each other, as payloads of NOTIFY
    listen               LISTEN and NOTIFY

The gate:

    gate                 the queue, and what a pass reads and writes
    pools                pools and their settings
    decisions            what was said to runs
    arrivals             who was submitted lately
    durations            how long attempts took
    consumption          what a test has used in its last runs
    forecasts            forecasts of starts, and how good they were

Where runs happen:

    workers              which workers live, and what they serve
    backends             which backends have a live worker
    nodes                the last known facts of the nodes
    clusters             how a cluster is reached

People:

    people               users, teams and their quotas
    members              adds and lists them
    user_keys            keys of persons, as digests
    secrets              references to secrets
    statistics           statistics and flaky tests

Experiments:

    experiments          experiments as they were written, and their executions
    chaos_runs           what only a run of kind `experiment` has
    chaos_faults         faults, until their revert was verified
    chaos_switch         the stop switch and cordoned targets
    chaos_connections    Prometheus, incident services, webhooks
    chaos_rules          the rules of teams
    chaos_approvals      approvals by a second person
    chaos_history        what scores and comparisons are made from
"""
