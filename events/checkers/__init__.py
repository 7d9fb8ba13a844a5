"""Checkers of histories: what producers sent and consumers read, judged for lost, duplicate and misordered messages.

Belongs here: the history (`history`), the anomalies of logs (`log`) and of transactions (`transactions`). Their names
are those of the Kafka workload of Jepsen.
Does not belong here: events with a meaning (`events.assertions`).
May do I/O: no.
"""
