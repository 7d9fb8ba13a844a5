"""Backends, which run attempts, the stores beside them, and what observes systems under test. Carries out decisions.

Map: `backend.py` is the port; `local` implements it with processes of this machine, `kubernetes` with pods.
`observation` reads metrics, incidents and probes for experiments. `services` runs the services of a local environment,
and `faults` injects faults into them and takes them back; `fault_providers` opens what an experiment aims at.
Does not: know the database.
"""
