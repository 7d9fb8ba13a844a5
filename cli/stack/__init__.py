"""Starts, keeps alive and ends the stack of one machine: PostgreSQL, Prefect's server, the API and the worker.

It deals with processes, ports, the state folder, and messages about them. It decides nothing about test runs.
"""
