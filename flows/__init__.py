"""The entry by Prefect: flows and their tasks, the worker that runs them in its process, and the sync of states.

This package chooses the stores, the backend, the clock and the settings of the worker process.
"""
