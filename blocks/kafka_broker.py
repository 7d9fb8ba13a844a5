"""A Kafka cluster as a Prefect block: its addresses, TLS and password for event tests in flows and in pytest.

A run of an event test reads no block, so that it does not depend on Prefect (D27): its file names variables, which its
request fills from secrets.
"""

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from events.brokers.broker import Broker
from events.brokers.broker_factory import open_broker
from events.brokers.security import Mechanism, Protocol

SLUG = "assay-kafka-broker"


class KafkaBroker(Block):
    """How event tests reach a Kafka cluster. Prefect keeps the password encrypted."""

    _block_type_name: ClassVar[str] = "Assay Kafka Broker"
    _block_type_slug: ClassVar[str] = SLUG
    _description: ClassVar[str] = "A Kafka cluster for event-driven tests, with TLS and a password."

    servers: str = Field(max_length=2000, description="HOST:PORT, several with commas")
    protocol: Protocol = Field(Protocol.PLAINTEXT, description="Whether connections are encrypted, and clients log in")
    mechanism: Mechanism = Field(Mechanism.PLAIN, description="How clients log in")
    username: str | None = Field(None, description="The user, if clients log in")
    password: SecretStr | None = Field(None, description="The password, if clients log in")
    ca: str | None = Field(None, description="The certificates of the authorities, in PEM; empty for the system's own")

    def settings(self) -> dict[str, str | int]:
        """Return the settings of librdkafka."""
        found: dict[str, str | int] = {"security.protocol": str(self.protocol)}
        if self.ca:
            found["ssl.ca.pem"] = self.ca
        if self.username is not None and self.password is not None:
            found["sasl.mechanism"] = str(self.mechanism)
            found["sasl.username"] = self.username
            found["sasl.password"] = self.password.get_secret_value()
        return found

    def open(self) -> Broker:
        """Return the broker; whoever opens it closes it. Nothing is connected yet."""
        return open_broker(f"kafka://{self.servers}", self.settings())
