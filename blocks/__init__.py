"""Typed connections as Prefect blocks. Empty until the first outside system needs one.

What must work without Prefect never reads a block.
"""
