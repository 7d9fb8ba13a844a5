"""Backends, which run attempts, the stores beside them, and what observes systems under test. Carries out decisions.

Map: `backend.py` is the port; `local` implements it with processes of this machine, `kubernetes` with pods.
`observation` reads metrics, incidents and probes for experiments.
Does not: know the database.
"""
