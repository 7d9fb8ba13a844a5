"""Decides: queue order, quotas, admission, placement, estimates. Pure: a state in, decisions out.

Does not: read rows, clocks or nodes by itself (db and cluster do), nor carry anything out.
"""
