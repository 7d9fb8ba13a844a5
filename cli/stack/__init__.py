"""The stack of one machine: PostgreSQL, Prefect's server, the API and the worker, started, kept alive and ended.

Belongs here: processes, ports, the state folder, and what people are told about them. No test run is decided here.
"""
