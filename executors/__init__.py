"""Adapters of test tools, one module each: how to run the tool, what its requests need, how to read what it leaves.

Does not: start processes (cluster).
"""
