"""Open a broker by its address: `memory:`, `mock:` or `kafka://HOST:PORT`."""

import re
from collections.abc import Mapping, Sequence

from events.brokers.broker import Broker, BrokerUnfitError
from events.brokers.memory import MemoryBroker
from events.event import Topic

_KAFKA = "kafka://"
_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_PORT = 9092
_HIGHEST_PORT = 65535


def open_broker(address: str, settings: Mapping[str, str | int] | None = None) -> Broker:
    """Return the broker. The client of Kafka is loaded only if it is needed. Raises: BrokerUnfitError; BrokerError."""
    if address == "memory:":
        return MemoryBroker()
    if address == "mock:":
        from events.brokers.mock_cluster import MockCluster  # noqa: PLC0415

        return MockCluster()
    try:
        check_address(address)
    except ValueError as error:
        raise BrokerUnfitError(str(error)) from error
    from events.brokers.kafka import KafkaBroker  # noqa: PLC0415

    return KafkaBroker(address.removeprefix(_KAFKA), settings)


def check_address(address: str) -> None:
    """Raise: ValueError if no broker has an address of this form."""
    if is_embedded(address):
        return
    if not address.startswith(_KAFKA) or address == _KAFKA:
        raise ValueError(f"the broker {address!r} is not known; there are memory:, mock: and kafka://HOST:PORT")
    for server in address.removeprefix(_KAFKA).split(","):
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found["port"] or _PORT) <= _HIGHEST_PORT:
            hint = "; user and password are named under `security`" if "@" in server else ""
            raise ValueError(f"{server!r} is no address of a broker, which is HOST:PORT{hint}")


def is_embedded(address: str) -> bool:
    """Say whether the broker begins empty, so that the topics of a test must be made."""
    return address in {"memory:", "mock:"}


def make_topics(broker: Broker, topics: Sequence[str], partitions: int) -> None:
    """Make the topics of a test on an empty broker."""
    for topic in topics:
        broker.create_topic(Topic(topic), partitions)
