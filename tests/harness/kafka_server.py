"""A real Kafka broker of a test's own: one process that can be killed and started again with the same data."""

import os
import shutil
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

DEPLOY = Path(__file__).parents[2] / "deploy/kafka"
MISSING = "needs Java 17, Maven and openssl. Debian and Ubuntu: apt-get install maven default-jre-headless openssl"
START_SECONDS = 90.0


def there() -> bool:
    return all(shutil.which(program) for program in ("java", "mvn", "openssl"))


class KafkaServer:
    """A broker in a folder. It listens without security on one port, and with TLS and a password on another.

    `member` are the last arguments of `deploy/kafka/broker`: the id of its cluster, then what makes it one of several.
    """

    def __init__(self, folder: Path, ports: Sequence[int] = (), member: Sequence[str] = ()) -> None:
        self._folder = folder
        self._ports = ports or _free_ports(3)
        self._member = member
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def plain(self) -> dict[str, str]:
        """Return a client's settings for the port without security."""
        return {"bootstrap.servers": f"127.0.0.1:{self._ports[0]}"}

    @property
    def secure(self) -> dict[str, str]:
        """Return a client's settings for the port with TLS and a password."""
        return {
            "bootstrap.servers": f"127.0.0.1:{self._ports[1]}",
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self._folder / "ca.pem"),
            "sasl.mechanism": "PLAIN",
            "sasl.username": "assay",
            "sasl.password": (self._folder / "password").read_text(encoding="ascii").strip(),
        }

    def start(self) -> None:
        """Start the broker, and return when it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start the broker, and do not wait until it answers."""
        command = ["sh", str(DEPLOY / "broker"), str(self._folder), *map(str, self._ports), *self._member]
        self._process = subprocess.Popen(command)

    def wait(self) -> None:
        """Wait until the broker answers, and knows itself to be one."""
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the broker does not answer:\n{self._words()}")
            time.sleep(0.05)  # it tells nobody when it is ready

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Let the process hang."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a process that hangs go on."""
        self._signal(signal.SIGCONT)

    def _answers(self) -> bool:
        client = AdminClient({**self.plain, "log_level": 0})
        try:
            return self._ports[0] in {broker.port for broker in client.list_topics(timeout=2).brokers.values()}
        except KafkaException:
            return False

    def _words(self) -> str:
        """Return the last words of each of its logs."""
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-3000:]}" for log in self._folder.glob("*.log"))

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


@contextmanager
def serving(folder: Path, cluster_id: str = "") -> Iterator[KafkaServer]:
    """Run a broker until the end of the block. Its cluster has that id, or one of its own making."""
    subprocess.run(["sh", str(DEPLOY / "programs")], check=True)
    made = KafkaServer(folder, member=[cluster_id] if cluster_id else ())
    try:
        made.start()
        yield made
    finally:
        made.kill()


class KafkaServers:
    """Three brokers. The number of the first one is 1."""

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(9)
        controllers = ports[6:]
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, start=1))
        cluster = b64encode(os.urandom(16), b"-_").decode().rstrip("=")
        self.members = [
            KafkaServer(folder / str(number), ports[number - 1 : 9 : 3], (cluster, str(number), voters))
            for number in (1, 2, 3)
        ]

    @property
    def plain(self) -> dict[str, str]:
        """Return a client's settings."""
        return {"bootstrap.servers": ",".join(one.plain["bootstrap.servers"] for one in self.members)}

    def leader(self, topic: str) -> KafkaServer:
        """Return the broker that leads the first partition of a topic."""
        client = AdminClient({**self.plain, "log_level": 0})
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            number = client.list_topics(topic, timeout=10).topics[topic].partitions[0].leader
            if number > 0:
                return self.members[number - 1]
            time.sleep(0.05)  # the new leader is being chosen
        raise AssertionError(f"{topic} has no leader")


@contextmanager
def serving_three(folder: Path) -> Iterator[KafkaServers]:
    """Run three brokers until the end of the block."""
    subprocess.run(["sh", str(DEPLOY / "programs")], check=True)
    made = KafkaServers(folder)
    try:
        for member in made.members:
            member.begin()
        for member in made.members:
            member.wait()
        yield made
    finally:
        for member in made.members:
            member.kill()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as listeners:
        opened = [listeners.enter_context(socket.socket()) for _ in range(count)]
        for listener in opened:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in opened]
