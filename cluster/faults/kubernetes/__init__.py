"""Faults in a cluster. Each has a guard: a Job that is started first, holds the fault, and takes it back by itself.

`api_client`, `guard`, `guard_action`, `guard_actions` and `container_actions` run in the guard's pod: they import the
standard library and each other, nothing else.

    api_client          requests and exec, from inside a pod
    candidates          the pods of a namespace as candidates for targets
    container_actions   what a guard does inside of the target's container
    guard               the program of the Job
    guard_action        what all actions have
    guard_actions       deleting pods, network policies, objects of operators
    guard_jobs          makes, reads and removes the objects of a guard
    guard_objects       the bodies of these objects
    guarded             what all providers of a cluster share
    provider            the native provider
    target_check        whether a pod may be a target now
"""
