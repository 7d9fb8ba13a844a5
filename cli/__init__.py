"""The `assay` command. It writes data to stdout and messages to stderr.

All commands use the REST API, except up, down, status, env, validate and simulate. No other package imports this one.
"""
