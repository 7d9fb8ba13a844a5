"""Payloads in Avro, Protobuf and JSON with a schema from a registry, in Confluent's wire format.

Belongs here: the port of registries, its implementations, and the readers of the three formats.
Does not belong here: what events mean.
May do I/O: only `folder` and `rest`.

    schema_registry   the port
    registry_factory  opens the registry of a test
    folder            a registry in a folder
    rest              a registry with Confluent's interface
    wire_format       finds the schema of a value, and reads it
    avro              reads Avro
    protobuf          reads Protobuf
"""
