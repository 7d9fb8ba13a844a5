"""Hold the values that the scheduler decides on. Nothing here decides.

run, node, pool        a run that waits or holds a place; a node; the settings of a pool, its profile, an owner
order                  the fixed key by which runs are looked at, and when a run is aged
reasons                why a run waits
usage_totals           amounts by owner, and the demand of a run
quota_limits           the limits of pool, team and user
node_table             the facts of all nodes
node_arrays            the arrays that they are kept in
packed_nodes           the same facts as one value of bytes
claim_holders          which runs hold which entries of claims
absence                for how long a backend has had no live worker
"""
