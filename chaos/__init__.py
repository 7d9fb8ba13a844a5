"""Decides about chaos experiments: targets, safety rules, steady-state hypothesis, verdict, ranking of targets.

Belongs here: values and pure functions, and the manifests of fault providers as values.
Does not belong here: injecting or reverting a fault. `cluster` does that.
May do I/O: no.

Empty: the chaos engine is not built yet.
"""
