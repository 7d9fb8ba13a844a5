"""The backend of a Kubernetes cluster: each attempt is one pod.

Belongs here: pods and what surrounds them, nodes, and the programs that run inside of a pod.
Does not belong here: where a pod should run (`scheduler`), faults (`cluster.faults`).
May do I/O: all but those that are said to be pure. The rules are in docs/decisions/013-kubernetes.md,
014-nodes-of-a-cluster.md and 015-pods-and-their-surroundings.md.

The backend:

    backend        implements the port
    access         how a cluster is reached, in the words of the connection
    kubeconfig     opens the official client
    connection     requests to one API server
    exec_stream    runs a program in a container
    check          what a cluster lacks, and how to get it
    canary         whether network policies are enforced

The pod of an attempt:

    launching      content, pod, start
    pod            makes the pod (pure)
    restricted     checks it (pure)
    network        its network policy (pure)
    names          the names of its objects (pure)
    pod_paths      where its files are (pure)
    cluster_pods   makes, reads and removes pods and Secrets
    stage          what it gets before the test starts
    spool          brings output and results to the worker's disk

What runs inside of it:

    install        makes the virtual environment
    shim           starts the test, keeps its limits
    keeper         prints what the test leaves
    results        sends it to the worker

What is watched:

    list_watch     the objects of one kind
    watch          our pods
    log_streams    the logs of many pods, in one thread
    node_watch     the nodes, and what uses them
    api_objects    the parts of objects that we read (pure)
    pod_facts      what became of a pod (pure)
    disruption     why a pod was ended (pure)
    node_facts     what the nodes have left (pure)
"""
