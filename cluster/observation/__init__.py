"""Looks at the systems under test for an experiment: metrics, probes, incidents. Changes nothing there.

Map: `errors` (what a reading may fail with), `metrics` (the port), `prometheus` (its implementation), `incidents` (the
incident service), `probes` (HTTP, TCP, conditions of Kubernetes objects), `load` (requests at a
fixed rate), `webhook` (asked before a fault), `signing` (signs its messages), `alertmanager` (told about experiments),
`deployments` (what was deployed lately).
Each reading has a time limit. None of it needs Prefect or our database.
"""
