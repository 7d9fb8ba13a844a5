"""The backend of a Kubernetes cluster: each attempt is one pod.

`backend.py` implements the port. `pod.py` makes the pod and `network.py` its network policy, `restricted.py` checks it,
`pod_facts.py` reads what became of it and `disruption.py` why, `node_facts.py` reads what the nodes have left. These
are pure functions. `connection.py` and `exec_stream.py` talk to the API server. `canary.py` finds out whether network
policies are enforced. `list_watch.py` follows the objects of one kind, for `watch.py` (our pods) and `node_watch.py`
(the nodes, and what uses them). `log_streams.py` follows logs. `shim.py`, `keeper.py` and `results.py` run in the pod.
The rules are in docs/decisions/013-kubernetes.md, 014-nodes-of-a-cluster.md and 015-pods-and-their-surroundings.md.
"""
