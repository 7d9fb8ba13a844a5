"""Checkers of histories: what producers sent and consumers read, judged for lost, duplicate and misordered messages.

Belongs here: histories and their anomalies. The names of these are those of the Kafka workload of Jepsen.
Does not belong here: events with a meaning (`events.assertions`).
May do I/O: no.

    history       what was sent and what was read
    log           anomalies of logs
    transactions  anomalies of transactions
"""
