"""The values that all rooms share, and `check(raw) -> value | all problems`.

Belongs here: requests, definitions, executions, results, states, ids, and the rules that one value must keep.
Does not: anything that reads a clock, a file, a database or the network. Pure; imports no other room.
"""
