"""One node, the machine we stand on: each test is a process tree under a small shim that outlives the worker."""
