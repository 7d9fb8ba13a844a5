"""The REST door: /api/v1, problem details, server-sent events.

Wires stores, clocks and settings for the API process; starts no flow.
"""
