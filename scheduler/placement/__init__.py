"""Choose a node for a run: filter and score, as in kube-scheduler.

node_usage        what the nodes have, what runs on them and how often each label
ask               what a run asks of a node
node_filter       which nodes accept a run by everything but their use
placement         the best nodes for a run in order, the node to reserve
score             how good a node is for a run
filter_reasons    why no node takes a run, now or even if all were empty
place             the nodes, or the reason
feasibility       what is too large for the nodes, or for the pool, when it is submitted
topology_rules    apart and spread
label_counts      what these look at
selectors         labels, affinity and taints
"""
