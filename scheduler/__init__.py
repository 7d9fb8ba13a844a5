"""Decide over the queue: order, quotas, admission, placement, estimates. Pure: a state in, decisions out.

Does not: read rows, clocks or nodes by itself (db and cluster do), nor carry anything out.

    values       what the others decide on: runs, nodes, settings of a pool, limits, amounts, the order
    placement    which nodes take a run, and which of them is best
    fairness     shares of owners: the formulas of FAIR_SHARE
    admission    the admission cycle: who starts now, what is reserved for whom, why the others wait
    simulation   the admission cycle in virtual time, for a trace or for an estimate
    forecast     when a waiting run will start
"""
