"""What a fault is in a cluster, as pure values: the same fault gives the same bytes.

Belongs here: rendering a fault on one explicit pod for a provider, and the names of its objects.
Does not belong here: talking to a cluster. `cluster.faults` does that.
May do I/O: no.

    chaos_mesh   the object of Chaos Mesh
    kubernetes   actions for the guard of the native provider
    litmus       the ChaosEngine of Litmus
    naming       the names of a fault's objects
    scripts      the scripts of a stress inside of a container
"""
