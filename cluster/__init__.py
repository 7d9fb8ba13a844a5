"""Backends, which run attempts, and the stores beside them. Carries out what the cores decide.

`backend.py` is the port; `local` implements it with processes of this machine.
Does not: know the database.
"""
