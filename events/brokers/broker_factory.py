"""Open a broker by its address: `memory:`, `mock:` or `kafka://HOST:PORT`."""

from collections.abc import Mapping, Sequence

from events.brokers.broker import Broker, BrokerUnfitError
from events.brokers.memory import MemoryBroker
from events.event import Topic

_KAFKA = "kafka://"


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
    if not is_embedded(address) and not (address.startswith(_KAFKA) and len(address) > len(_KAFKA)):
        raise ValueError(f"the broker {address!r} is not known; there are memory:, mock: and kafka://HOST:PORT")


def is_embedded(address: str) -> bool:
    """Say whether the broker begins empty, so that the topics of a test must be made."""
    return address in {"memory:", "mock:"}


def make_topics(broker: Broker, topics: Sequence[str], partitions: int) -> None:
    """Make the topics of a test on an empty broker."""
    for topic in topics:
        broker.create_topic(Topic(topic), partitions)
