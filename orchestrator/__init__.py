"""Use cases, one function each, called by both doors: submit, cancel, retry, list, explain, set quota.

Values and a database connection in, values out; no HTTP, no Prefect.
"""
