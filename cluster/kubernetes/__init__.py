"""The backend of a Kubernetes cluster: each attempt is one pod.

`backend.py` implements the port. `pod.py` makes the pod, `restricted.py` checks it, `pod_facts.py` reads what became of
it, `node_facts.py` reads what the nodes have left. These are pure functions. `connection.py` and `exec_stream.py` talk
to the API server, and `shim.py` and `results.py` are programs that run in the pod. The rules are in
docs/decisions/013-kubernetes.md.
"""
