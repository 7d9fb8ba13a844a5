"""Message brokers behind one port: in memory, librdkafka's mock cluster, and Kafka.

Belongs here: the port (`broker`), its implementations, and `broker_factory`, which opens one by its address.
Does not belong here: what events mean.
May do I/O: yes.
"""
