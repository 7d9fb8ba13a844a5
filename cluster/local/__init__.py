"""The backend of this machine, one node: each test is a process tree under a small shim that outlives the worker.

Belongs here: processes of this machine, their content, their environments, and what limits them.
Does not belong here: what a tool's report means (`executors`), and local services (`cluster.services`).
May do I/O: yes.

The backend:

    backend            implements the port
    factory            opens it
    identity           which node this machine is
    machine            what it can give to tests

An attempt:

    preparation        prepares it, then starts the shim
    command            the tool's command in paths of this machine
    environment        its environment variables
    shim               starts the test, enforces its limits, writes down its end
    log_writer         writes what it prints
    cgroup             the control group that limits its memory
    processes          starts, finds, stops and accounts for its process tree
    living             which attempts are alive
    masking            keeps its secret values for a worker that adopts it
    cleanup            removes most of its folder after its end
    start_errors       why a program could not be started

Content and environments:

    content            puts the content into place
    git                clones a repository
    commits            keeps which commit it was
    archive            downloads an archive
    environments       virtual environments, one for each set of requirements
    guarded_command    runs git and the installer so that none outlives the worker
    subprocess_guard   the process around them
    unreachable        tells a host that is away from one that says no

The kernel:

    proc               its table of processes
    unix_socket        sockets in folders with long paths
"""
