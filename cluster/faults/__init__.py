"""Fault providers: they inject the faults of experiments, and take them back. The port is in `provider`.

Each fault has a guard outside the worker that is started first and reverts by itself when the fault expires, when the
worker's heartbeat stops, or when what it acts on is gone. A provider knows neither the database nor Prefect.

    chaos_mesh       the provider that asks Chaos Mesh
    cluster_faults   the provider of a cluster: gives each fault to one of the others
    guard            the process that holds one local fault, and takes it back
    kubernetes       the provider for pods: a guard Job in the cluster
    litmus           the provider that asks Litmus
    local            the provider for services of a local environment
    marks            finds the processes that carry the mark of a fault
    operator_faults  what the providers of operators share
    provider         the port
    stress           what burns CPU, holds memory and writes to disk
"""
