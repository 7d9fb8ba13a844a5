"""The framework for tests of event-driven systems: consumers, matchers, assertions, sagas, and the event store port.

Belongs here: the framework and the protocol of its event store, which `db` implements.
Does not belong here: SQL, and clients of message brokers in the core of the framework.
May do I/O: yes, through its ports.

Empty: the framework is not built yet.
"""
