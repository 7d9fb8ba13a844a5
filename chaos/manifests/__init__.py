"""What a fault is in a cluster, as pure values: the same fault gives the same bytes.

Belongs here: rendering a fault on one explicit pod for a provider, and reading what became of it.
Does not belong here: talking to a cluster. `cluster.faults` does that.
May do I/O: no.

    chaos_mesh         the object of Chaos Mesh
    chaos_mesh_status  what it says about a fault
    kubernetes         actions for the guard of the native provider
    litmus             the ChaosEngine of Litmus
    litmus_status      what the objects of Litmus say about a fault
    naming             the names of a fault's objects
    operator_state     how far an operator is with a fault
    scripts            the scripts of a stress inside of a container
"""
