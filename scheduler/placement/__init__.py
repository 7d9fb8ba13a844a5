"""Choose a node for a run: filter and score, as in kube-scheduler.

node_usage        what the nodes have, what runs on them and how often each label
ask               what a run asks of a node
placement         the nodes that take a run, the candidates in order, the node to reserve
score             how good a node is for a run
filter_reasons    why no node takes a run
feasibility       whether the nodes could take a run if nothing else ran
topology_rules    apart and spread; label_counts counts what they look at
selectors         labels, affinity and taints
"""
