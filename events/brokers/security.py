"""How a Kafka cluster is reached with TLS and a password. Names of variables stand for secrets, never their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from events.brokers.broker import BrokerUnfitError


class Protocol(StrEnum):
    """Whether connections are encrypted, and whether clients log in."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Mechanism(StrEnum):
    """How clients log in."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """The settings of a connection. `username_from` and `password_from` are names of environment variables.

    `ca_file` has the certificates of the authorities, in PEM; without it those of the system count.
    """

    protocol: Protocol
    mechanism: Mechanism = Mechanism.PLAIN
    username_from: str | None = None
    password_from: str | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        logs_in = self.protocol in {Protocol.SASL_PLAINTEXT, Protocol.SASL_SSL}
        if logs_in and (self.username_from is None or self.password_from is None):
            raise ValueError(f"{self.protocol} needs usernameFrom and passwordFrom, the names of two variables")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError(f"caFile: there is no file {self.ca_file.name!r} beside the test")

    def settings(self, environment: Mapping[str, str]) -> dict[str, str | int]:
        """Return the settings of librdkafka. Raises: BrokerUnfitError if a variable is not set."""
        found: dict[str, str | int] = {"security.protocol": str(self.protocol)}
        if self.ca_file is not None:
            found["ssl.ca.location"] = str(self.ca_file)
        if self.username_from is not None and self.password_from is not None:
            found["sasl.mechanism"] = str(self.mechanism)
            found["sasl.username"] = _value(environment, self.username_from)
            found["sasl.password"] = _value(environment, self.password_from)
        return found


def _value(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise BrokerUnfitError(f"the variable {name} is not set; set it in the environment of the test")
    return environment[name]
