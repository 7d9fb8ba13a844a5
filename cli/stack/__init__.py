"""Starts, keeps alive and ends the stack of one machine: PostgreSQL, Prefect's server, the API and the worker.

Belongs here: processes, ports, the state folder, and messages about them.
Does not belong here: any decision about test runs.
May do I/O: yes.

The way of `assay up`:

    commands          up, down, status, env, open
    starting          runs the stack in a state folder, or ends the one there
    boot              starts the parts, in parallel where possible
    supervisor        keeps them alive, and leaves no process behind
    attach            a second `assay up` follows the first
    samples           runs the sample suites
    chaos_sample      shows one experiment
    report            the state of each part
    console           messages
    browser           opens a page

Parts:

    parts             a process that is started again when it dies
    postgres          PostgreSQL
    postgres_guard    keeps it running
    prefect_server    Prefect's server
    prefect_app       its application
    programs          the API and the worker
    api_app           the API's application
    serve             serves an application on a socket of the supervisor
    origin_guard      refuses other origins in front of Prefect

What they rest on:

    state             the state folder and its lock
    ports             ports on the loopback address
    identity          which process is meant by a number
    heartbeat         finds parts that hang
    leftovers         ends processes of an earlier stack
    parent_death      ends a program with its parent
    proxies           keeps our requests away from a proxy
"""
