"""The port of brokers. `tests/contract/test_brokers.py` is its suite, which every implementation passes unchanged."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from events.event import Headers, Offset, PartitionNumber, Record, Topic


class Capability(StrEnum):
    """What a broker may be able to do. A test that needs what its broker lacks is refused by name."""

    GROUPS = "groups"
    """Consumer groups, with rebalances and committed offsets."""
    TRANSACTIONS = "transactions"
    """Aborted messages stay invisible to readers of committed messages."""
    IDEMPOTENCE = "idempotence"
    """The retries of an idempotent producer are not stored twice."""
    DURABILITY = "durability"
    """Messages outlive the process that holds the broker, and are not dropped under load."""
    FAULTS = "faults"
    """Errors and slowness of the broker can be injected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is produced. Without `partition`, the key decides it."""

    topic: Topic
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    partition: PartitionNumber | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an acknowledged message is."""

    topic: Topic
    partition: PartitionNumber
    offset: Offset


class BrokerError(Exception):
    """The broker refused a request or cannot be reached. A person must look at its address, the topic or the broker."""


class BrokerUnfitError(BrokerError):
    """The broker does not have what is asked of it. Another attempt does not help: somebody must change the test."""


class TopicMissingError(BrokerUnfitError):
    """A topic does not exist. The test must name another one, or somebody must create it."""

    def __init__(self, topic: Topic) -> None:
        super().__init__(f"the topic {topic!r} does not exist on the broker")
        self.topic = topic


class Subscription(Protocol):
    """A reader of topics. It is used by one thread at a time, but for `wake`."""

    def poll(self, timeout: float) -> Sequence[Record]:
        """Return the next records as soon as there are some, or none after `timeout` seconds or `wake`."""
        ...

    def wake(self) -> None:
        """End a `poll` that waits, from another thread."""
        ...

    def caught_up(self, timeout: float) -> bool:
        """Say whether all that is in the topics at this call is taken in within `timeout` seconds.

        A record is taken in when `poll` is called again after it was returned, so another thread should be polling.
        False: the broker did not answer, or more is to come.
        """
        ...

    def commit(self) -> None:
        """Note for the group that all records returned so far are processed."""
        ...

    def close(self) -> None:
        """Leave. It may be called more than once."""
        ...


class Broker(Protocol):
    """A message broker."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what the broker can do."""
        ...

    @property
    def servers(self) -> str:
        """Return the addresses under which other processes reach it, empty if none can."""
        ...

    def create_topic(self, topic: Topic, partitions: int) -> None:
        """Make a topic. Nothing happens if it exists. Raises: BrokerError."""
        ...

    def subscribe(self, topics: Sequence[Topic], *, group_id: str | None = None) -> Subscription:
        """Return a reader whose assignment is confirmed: it gets what is produced from now on.

        Without a group it is assigned all partitions, so that no rebalance moves it. A member of a group that has
        committed offsets goes on there. Raises: TopicMissingError; BrokerError.
        """
        ...

    def produce(self, message: Message) -> Place:
        """Send a message and wait for its acknowledgement. Raises: BrokerError."""
        ...

    def close(self) -> None:
        """Release everything. It may be called more than once."""
        ...


def require(broker: Broker, needed: frozenset[Capability], *, what: str) -> None:
    """Raise: BrokerUnfitError if the broker lacks a capability that `what` needs."""
    missing = sorted(needed - broker.capabilities)
    if missing:
        raise BrokerUnfitError(f"{what} needs {', '.join(missing)}, which this broker lacks; use a real Kafka for it")
