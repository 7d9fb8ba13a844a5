"""The Prefect door: flows, their tasks, the in-process worker, and what keeps Prefect's states and ours equal.

Wires stores, clocks and settings for the worker process.
"""
