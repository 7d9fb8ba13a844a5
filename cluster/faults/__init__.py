"""Fault providers: they inject the faults of experiments, and take them back. The port is in `provider`.

Each fault has a guard outside the worker that is started first and reverts by itself when the fault expires, when the
worker's heartbeat stops, or when what it acts on is gone. A provider knows neither the database nor Prefect.

    guard      the process that holds one local fault, and takes it back
    kubernetes the provider for pods: a guard Job in the cluster
    local      the provider for services of a local environment
    marks      finds the processes that carry the mark of a fault
    provider   the port
    stress     what burns CPU, holds memory and writes to disk
"""
