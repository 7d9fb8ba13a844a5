"""One module a test tool: how to run it, how to read what it leaves.

Does not: start processes (cluster) or judge (model.verdict).
"""
