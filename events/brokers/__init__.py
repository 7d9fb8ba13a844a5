"""Message brokers behind one port: in memory, librdkafka's mock cluster, and Kafka.

Belongs here: the port and its implementations.
Does not belong here: what events mean.
May do I/O: yes.

    broker          the port
    broker_factory  opens a broker by its address
    memory          a broker in this process
    mock_cluster    librdkafka's mock cluster
    kafka           Kafka
    security        TLS and passwords
"""
