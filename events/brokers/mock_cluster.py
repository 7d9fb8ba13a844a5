"""librdkafka's mock cluster: a Kafka that speaks the protocol over TCP, inside of this process.

It is the embedded default: it needs no Java and starts in milliseconds. It does not remove the duplicates of a retrying
producer and shows aborted messages, so it lacks the capabilities `idempotence` and `transactions`. Its interface is not
stable, so its symbols are looked up when this module is imported, and the version of the client is pinned.
"""

import ctypes
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from events.brokers.broker import BrokerError, Capability, Message, Place, TopicMissingError
from events.brokers.kafka import KafkaBroker, KafkaSubscription
from events.event import Topic

SYMBOLS: Final = (
    "rd_kafka_conf_new",
    "rd_kafka_conf_set",
    "rd_kafka_new",
    "rd_kafka_destroy",
    "rd_kafka_mock_cluster_new",
    "rd_kafka_mock_cluster_destroy",
    "rd_kafka_mock_cluster_bootstraps",
    "rd_kafka_mock_topic_create",
    "rd_kafka_mock_group_initial_rebalance_delay_ms",
    "rd_kafka_mock_push_request_errors",
    "rd_kafka_mock_broker_set_rtt",
    "rd_kafka_mock_broker_set_down",
    "rd_kafka_mock_broker_set_up",
)
PRODUCE: Final = 0
"""The number of the request `Produce` in Kafka's protocol."""
FETCH: Final = 1
_PRODUCER: Final = 0
_ERROR_TEXT: Final = 512


def _load() -> tuple[ctypes.CDLL | None, str]:
    """Return the library inside of the wheel, or why the mock cluster cannot be used."""
    spec = find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        return None, "confluent-kafka is not installed"
    package = Path(spec.origin).parent
    found = sorted((package.parent / "confluent_kafka.libs").glob("librdkafka*.so*"))
    if not found:
        return None, "the installed confluent-kafka has no librdkafka of its own; install its wheel"
    library = ctypes.CDLL(str(found[0]))
    missing = [symbol for symbol in SYMBOLS if not hasattr(library, symbol)]
    if missing:
        return None, f"this librdkafka lacks {', '.join(missing)}; install the pinned confluent-kafka"
    for symbol in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, symbol).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library, ""


_LIBRARY, WHY_NOT = _load()
"""`WHY_NOT` is empty if the mock cluster can be used."""


class MockCluster:
    """A cluster of `brokers` brokers, which ends with `close`. Topics must be created before they are used."""

    capabilities = frozenset({Capability.GROUPS, Capability.FAULTS})

    def __init__(self, brokers: int = 1) -> None:
        if _LIBRARY is None:
            raise BrokerError(f"there is no mock cluster: {WHY_NOT}")
        self._library = _LIBRARY
        text = ctypes.create_string_buffer(_ERROR_TEXT)
        configuration = ctypes.c_void_p(_LIBRARY.rd_kafka_conf_new())
        size = ctypes.c_size_t(_ERROR_TEXT)
        for name, value in ((b"bootstrap.servers", b"127.0.0.1:1"), (b"log_level", b"0")):  # it warns about none
            _LIBRARY.rd_kafka_conf_set(configuration, name, value, text, size)
        self._client = ctypes.c_void_p(_LIBRARY.rd_kafka_new(_PRODUCER, configuration, text, size))
        self._cluster = ctypes.c_void_p(_LIBRARY.rd_kafka_mock_cluster_new(self._client, brokers))
        _LIBRARY.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.servers = _LIBRARY.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        # It ignores idempotence, which costs half a second, and keeps a member that has left until its session ends.
        # It answers a fetch only when its time is over, also if there is something.
        settings: dict[str, str | int] = {
            "session.timeout.ms": 3000,
            "heartbeat.interval.ms": 200,
            "fetch.wait.max.ms": 10,
        }
        self._kafka = KafkaBroker(self.servers, settings, idempotent=False)
        self._topics: set[Topic] = set()
        self._closed = False

    def create_topic(self, topic: Topic, partitions: int) -> None:
        """Make a topic, unless it exists."""
        if topic in self._topics:
            return
        code = self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)
        if code:
            raise BrokerError(f"the topic {topic!r} cannot be created: error {code} of the mock cluster")
        self._topics.add(topic)

    def subscribe(self, topics: Sequence[Topic], *, group_id: str | None = None) -> KafkaSubscription:
        """Return a reader. The cluster itself would create a missing topic, so it is refused here."""
        for topic in topics:
            self._known(topic)
        return self._kafka.subscribe(topics, group_id=group_id)

    def produce(self, message: Message) -> Place:
        """Send a message and wait for its acknowledgement."""
        self._known(message.topic)
        return self._kafka.produce(message)

    def fail_requests(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind with these error codes of Kafka's protocol."""
        self._library.rd_kafka_mock_push_request_errors(
            self._cluster, ctypes.c_int16(request), ctypes.c_size_t(len(codes)), *(ctypes.c_int(code) for code in codes)
        )

    def delay(self, milliseconds: int, *, broker: int = 1) -> None:
        """Delay each answer of a broker."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, ctypes.c_int32(broker), milliseconds)

    def set_down(self, *, down: bool, broker: int = 1) -> None:
        """Close all connections of a broker and accept no new ones, or accept them again."""
        change = self._library.rd_kafka_mock_broker_set_down if down else self._library.rd_kafka_mock_broker_set_up
        change(self._cluster, ctypes.c_int32(broker))

    def close(self) -> None:
        """End the cluster."""
        if not self._closed:
            self._closed = True
            self._kafka.close()
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)

    def _known(self, topic: Topic) -> None:
        if topic not in self._topics:
            raise TopicMissingError(topic)
