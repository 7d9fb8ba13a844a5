"""Payloads in Avro, Protobuf and JSON with a schema from a registry, in Confluent's wire format.

Belongs here: the port of registries (`schema_registry`), its implementations (`folder`, `rest`), the readers of the
three formats, and `wire_format`, which finds the schema of a value and reads it.
Does not belong here: what events mean.
May do I/O: only `folder` and `rest`.
"""
