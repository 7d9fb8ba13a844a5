"""The backend of this machine, one node: each test is a process tree under a small shim that outlives the worker."""
