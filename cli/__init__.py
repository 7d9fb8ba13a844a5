"""The `assay` command: data on stdout, messages on stderr. Speaks REST only, but for up, down, status, env, validate.

Nothing imports it.
"""
