"""Looks at the systems under test for an experiment: metrics, probes, incidents. Changes nothing there.

Belongs here: clients of what is asked while an experiment runs. Each reading has a time limit.
Does not belong here: what a reading means (`chaos`), Prefect, and our database.
May do I/O: yes.

    errors         what a reading may fail with
    metrics        the port of metrics
    prometheus     its implementation
    incidents      the incident service
    deployments    what was deployed lately
    probes         HTTP, TCP, conditions of Kubernetes objects
    command_looks  what health checks of type command have seen
    load           requests at a fixed rate
    webhook        asked before a fault
    signing        signs its messages
    alertmanager   told about experiments
"""
