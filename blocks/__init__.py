"""Typed connections to outside systems as Prefect blocks: clusters, Prometheus, object stores, brokers, webhooks.

Belongs here: block types and the errors of reaching an outside system.
Does not belong here: anything that must work while Prefect is down, because reading a block needs Prefect.
May do I/O: yes.

kafka_broker         a Kafka cluster for event tests in flows and in pytest
experiments          what experiments ask, from which `assay chaos connect` writes rows
kubernetes_cluster   a cluster, from which `assay cluster import` writes a row
"""
