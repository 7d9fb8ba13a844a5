"""Kafka through confluent-kafka's synchronous client. One object serves one thread; its errors become BrokerError."""

import time
from collections.abc import Mapping, Sequence
from threading import Condition
from threading import Event as Flag
from typing import Final
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from events.brokers.broker import BrokerError, Capability, Message, Place, TopicMissingError
from events.event import Offset, PartitionNumber, Record, Topic

REQUEST_SECONDS = 10.0
"""How long a request may take before the broker counts as unreachable."""
_BATCH = 2000
_SLICE_SECONDS = 0.05
"""The longest single wait inside of the client, which no other thread can end. `wake` takes effect after it."""
_TOGETHER_SECONDS = 0.005
"""What comes so soon after the first message is taken with it. One answer of the broker holds several partitions, and
the order between them is only known of messages that are seen together."""
_ANY: Final = -1
"""The partition that lets the client choose by key."""
_EXISTS: Final = 36
_UNKNOWN_TOPIC: Final = 3
_LEADERLESS: Final = frozenset({3, 5, 6})
"""Unknown topic or partition, leader not available, not the leader."""
_RETRY_SECONDS = 0.05
_Partition = tuple[Topic, PartitionNumber]


class KafkaBroker:
    """A Kafka cluster. `settings` are those of librdkafka, for SASL and TLS."""

    capabilities = frozenset(
        {Capability.GROUPS, Capability.TRANSACTIONS, Capability.IDEMPOTENCE, Capability.DURABILITY}
    )

    def __init__(
        self, servers: str, settings: Mapping[str, str | int] | None = None, *, idempotent: bool = True
    ) -> None:
        self.servers = servers
        self._idempotent = idempotent
        self._settings: dict[str, str | int] = {
            "bootstrap.servers": servers,
            "log_level": 0,
            "socket.connection.setup.timeout.ms": 5000,
            **(settings or {}),
        }
        self._made: Producer | None = None

    def create_topic(self, topic: Topic, partitions: int) -> None:
        """Make a topic, and wait until the broker knows it."""
        admin = AdminClient(dict(self._settings))
        try:
            admin.create_topics([NewTopic(topic, partitions)], request_timeout=REQUEST_SECONDS)[topic].result()
        except KafkaException as error:
            if error.args[0].code() != _EXISTS:
                raise _wrapped(f"the topic {topic!r} cannot be created", error) from error

    def subscribe(self, topics: Sequence[Topic], *, group_id: str | None = None) -> "KafkaSubscription":
        """Return a reader at the end of each partition, or where its group goes on."""
        once = list(dict.fromkeys(topics))  # the client refuses a partition that is named twice
        return KafkaSubscription(self._settings, once, group_id)

    def produce(self, message: Message) -> Place:
        """Send a message and wait for its acknowledgement by all replicas."""
        outcome: list[tuple[KafkaError | None, KafkaMessage]] = []
        producer = self._producer()
        try:
            producer.produce(
                message.topic,
                message.value,
                message.key,
                _ANY if message.partition is None else message.partition,
                headers=list(message.headers),
                on_delivery=lambda error, sent: outcome.append((error, sent)),
            )
        except (KafkaException, BufferError) as error:
            raise _wrapped(f"the message for {message.topic!r} was refused", error) from error
        producer.flush(REQUEST_SECONDS + 1)
        if not outcome or outcome[0][0] is not None:
            reason = outcome[0][0] if outcome else "no answer from the broker"
            raise BrokerError(f"the message for {message.topic!r} was not acknowledged: {reason}")
        sent = outcome[0][1]
        return Place(
            topic=message.topic,
            partition=PartitionNumber(sent.partition() or 0),
            offset=Offset(sent.offset() or 0),
        )

    def close(self) -> None:
        """Send what is left, and forget the producer."""
        if self._made is not None:
            self._made.flush(REQUEST_SECONDS)
            self._made = None

    def _producer(self) -> Producer:
        if self._made is None:
            self._made = Producer(
                {
                    "enable.idempotence": self._idempotent,
                    **self._settings,
                    "linger.ms": 0,
                    "message.timeout.ms": int(REQUEST_SECONDS * 1000),
                    "message.max.bytes": 10_000_000,
                }
            )
        return self._made


class KafkaSubscription:
    """A consumer. Without a group it has all partitions by `assign`, from the ends at the time of its creation."""

    def __init__(self, settings: Mapping[str, str | int], topics: Sequence[Topic], group_id: str | None) -> None:
        self._woken = Flag()
        self._assigned = Flag()
        self._closed = False
        self._starts: dict[tuple[str, int], TopicPartition] = {}
        """Where each partition begins, until something was read from it."""
        self._early: list[KafkaMessage] = []
        self._progress = _Progress()
        self._asking = Consumer({**settings, "group.id": f"assay-{uuid4()}"})
        """Asks for the ends of partitions. The client that reads is not asked: its calls wait for its poll."""
        self._consumer = Consumer(
            {
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 500,
                "fetch.wait.max.ms": 50,
                **settings,
                "group.id": group_id or f"assay-{uuid4()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "enable.partition.eof": True,  # so that control records at the end of a partition count as read
            }
        )
        try:
            ends = self._ends(topics)
            self._begun = {(Topic(place.topic), PartitionNumber(place.partition)): place.offset for place in ends}
            if group_id is None:
                self._starts = {(place.topic, place.partition): place for place in ends}
                self._progress.begin(ends)
                self._consumer.assign(ends)
            else:
                self._join(topics)
        except BaseException:
            self.close()
            raise

    def poll(self, timeout: float) -> Sequence[Record]:
        """Wait for one message, and take with it what is there already."""
        self._progress.take_in()
        if self._early:
            early, self._early = self._early, []
            records = self._records(early)
            if records:
                return records
        deadline = time.monotonic() + timeout
        while not self._woken.is_set():
            left = deadline - time.monotonic()
            first = self._consumer.poll(max(0.0, min(left, _SLICE_SECONDS)))
            if first is not None:
                records = self._records([first, *self._consumer.consume(_BATCH, _TOGETHER_SECONDS)])
                if records:
                    return records
                self._progress.take_in()
            if left <= 0:
                return ()
        self._woken.clear()
        return ()

    def wake(self) -> None:
        """End a poll that waits, within a twentieth of a second."""
        self._woken.set()

    def caught_up(self, timeout: float) -> bool:
        """Ask the broker for the end of each partition, and wait until everything before it has been taken in.

        What other members of the group read is not taken in here.
        """
        if set(self._progress.partitions) != set(self._begun):
            return False
        deadline = time.monotonic() + timeout
        ends: dict[_Partition, int] = {}
        try:
            for topic, partition in self._progress.partitions:
                left = max(deadline - time.monotonic(), 0.001)
                place = TopicPartition(topic, partition)
                _low, ends[topic, partition] = self._asking.get_watermark_offsets(place, timeout=left)
        except KafkaException:
            return False
        return self._progress.reaches(ends, deadline - time.monotonic())

    def commit(self) -> None:
        """Commit the positions, also of partitions from which nothing was read yet, and wait for it."""
        try:
            places = self._consumer.position(self._consumer.assignment())
            offsets = [place if place.offset >= 0 else self._starts[place.topic, place.partition] for place in places]
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise _wrapped("the offsets cannot be committed", error) from error

    def close(self) -> None:
        """Leave the group."""
        if not self._closed:
            self._closed = True
            self._consumer.close()
            self._asking.close()

    def _ends(self, topics: Sequence[Topic]) -> list[TopicPartition]:
        """Return all partitions with the offset that the next message gets."""
        return [self._end(place) for topic in topics for place in self._partitions(topic)]

    def _partitions(self, topic: Topic) -> list[TopicPartition]:
        try:
            found = self._asking.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic]
        except KafkaException as error:
            raise _wrapped("the broker cannot be reached", error) from error
        if found.error is not None and found.error.code() in {_UNKNOWN_TOPIC, KafkaError._UNKNOWN_TOPIC}:  # noqa: SLF001
            raise TopicMissingError(topic)
        if found.error is not None or not found.partitions:
            raise BrokerError(f"the topic {topic!r} cannot be read: {found.error or 'it has no partitions'}")
        return [TopicPartition(topic, number) for number in sorted(found.partitions)]

    def _end(self, place: TopicPartition) -> TopicPartition:
        """Return a partition with its end. A topic that was just made may have no leader for a moment: ask again."""
        deadline = time.monotonic() + REQUEST_SECONDS
        while True:
            try:
                _low, high = self._asking.get_watermark_offsets(place, timeout=REQUEST_SECONDS)
            except KafkaException as error:
                if not _passes(error) or time.monotonic() > deadline:
                    raise _wrapped(f"the end of {place.topic}[{place.partition}] is unknown", error) from error
                time.sleep(_RETRY_SECONDS)
            else:
                return TopicPartition(place.topic, place.partition, high)

    def _join(self, topics: Sequence[Topic]) -> None:
        """Join the group, and wait for the assignment."""
        self._consumer.subscribe(list(topics), on_assign=self._take)
        deadline = time.monotonic() + REQUEST_SECONDS
        while not self._assigned.is_set():
            message = self._consumer.poll(_SLICE_SECONDS)
            if message is not None:  # the poll that brings the assignment may go on to the first message
                self._early.append(message)
            if time.monotonic() > deadline:
                raise BrokerError(f"the group gave no assignment within {REQUEST_SECONDS:g} s")

    def _take(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Begin each partition at its committed offset, or where this reader has come to if that is later.

        Without either, at its end when this reader was made: what arrives during a rebalance must not be missed.
        """
        committed = consumer.committed(places, timeout=REQUEST_SECONDS) if places else []
        starts = [TopicPartition(place.topic, place.partition, self._start(place)) for place in committed]
        self._starts = {(place.topic, place.partition): place for place in starts}
        self._progress.begin(starts)
        consumer.assign(starts)
        self._assigned.set()

    def _start(self, committed: TopicPartition) -> int:
        place = Topic(committed.topic), PartitionNumber(committed.partition)
        own = self._progress.position(place)
        if own is not None:
            return max(own, committed.offset)
        return committed.offset if committed.offset >= 0 else self._begun[place]

    def _records(self, messages: Sequence[KafkaMessage]) -> list[Record]:
        """Return the records among messages of the client, and note how far these go. Raises: BrokerError."""
        self._progress.read(messages)
        return [record for message in messages if (record := _record(message)) is not None]


class _Progress:
    """How far each partition was read, and how far it was taken in by whoever polls."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._read: dict[_Partition, int] = {}
        self._taken_in: dict[_Partition, int] = {}
        self._before: dict[_Partition, int] = {}
        """How far partitions were read that are read no more."""

    def position(self, place: _Partition) -> int | None:
        """Return how far a partition was read at any time, None if it never was."""
        return self._read.get(place, self._before.get(place))

    @property
    def partitions(self) -> list[_Partition]:
        """Return the partitions that are read."""
        with self._changed:
            return sorted(self._taken_in)

    def begin(self, places: Sequence[TopicPartition]) -> None:
        """Note which partitions are read from now on, and where that begins."""
        begins = {(Topic(place.topic), PartitionNumber(place.partition)): place.offset for place in places}
        with self._changed:
            self._before |= self._read
            self._read = begins
            self._taken_in = dict(begins)
            self._changed.notify_all()

    def read(self, messages: Sequence[KafkaMessage]) -> None:
        """Note that messages were read. The notice of an end has the offset that the next message gets."""
        for message in messages:
            error, offset = message.error(), message.offset()
            at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
            if offset is not None and (error is None or at_end):
                place = Topic(message.topic() or ""), PartitionNumber(message.partition() or 0)
                self._read[place] = offset if at_end else offset + 1

    def take_in(self) -> None:
        """Note that what was read has been taken in."""
        with self._changed:
            if self._taken_in != self._read:
                self._taken_in = dict(self._read)
                self._changed.notify_all()

    def reaches(self, ends: Mapping[_Partition, int], timeout: float) -> bool:
        """Say whether these ends are taken in, waiting for it up to `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(self._taken_in.get(place, -1) >= end for place, end in ends.items()), max(timeout, 0)
            )


def _record(message: KafkaMessage) -> Record | None:
    """Return the record of a message, or None for a passing notice of the client. Raises: BrokerError."""
    error = message.error()
    if error is not None:
        if error.retriable() or not error.fatal():
            return None
        raise BrokerError(f"the broker cannot be read: {error}")
    kind, timestamp = message.timestamp()
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=Topic(message.topic() or ""),
        partition=PartitionNumber(message.partition() or 0),
        offset=Offset(message.offset() or 0),
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, _bytes(value)) for name, value in pairs),
        timestamp_ms=timestamp if kind else None,
    )


def _passes(error: KafkaException) -> bool:
    """Say whether an error goes away by itself: the leader of a partition is not known yet, or moves."""
    return bool(error.args) and error.args[0].code() in _LEADERLESS


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _wrapped(what: str, error: Exception) -> BrokerError:
    reason = error.args[0] if error.args else error
    text = reason.str() if isinstance(reason, KafkaError) else str(reason)
    return BrokerError(f"{what}: {text}")
