"""TLS and passwords of brokers: from the file, with names of variables, and from a Prefect block."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.kafka_broker import KafkaBroker
from events.brokers.broker import BrokerUnfitError
from events.brokers.security import Mechanism, Protocol
from events.form import load_test
from model.problems import InvalidError


def text(security: str) -> str:
    return f"{{name: t, topics: [t], broker: 'kafka://h:1', security: {security}, assertions: [{{expect: A}}]}}"


WHOLE = "{protocol: SASL_SSL, mechanism: SCRAM-SHA-512, usernameFrom: U, passwordFrom: P, caFile: ca.pem}"


def test_names_of_variables_become_settings_when_the_test_runs(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-")
    loaded = load_test(text(WHOLE), tmp_path)

    assert loaded.security is not None
    assert loaded.security.settings({"U": "shop", "P": "secret"}) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "shop",
        "sasl.password": "secret",
        "ssl.ca.location": str(tmp_path / "ca.pem"),
    }
    with pytest.raises(BrokerUnfitError, match="the variable P is not set"):
        loaded.security.settings({"U": "shop"})


@pytest.mark.parametrize(
    ("security", "said"),
    [
        (WHOLE, "no file 'ca.pem'"),
        ("{protocol: SASL_SSL, usernameFrom: U}", "needs usernameFrom and passwordFrom"),
        ("{protocol: TLS}", "must be one of"),
        ("{protocol: SSL, password: secret}", "this key is not known here"),
    ],
)
def test_what_is_missing_is_a_problem(tmp_path: Path, security: str, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        load_test(text(security), tmp_path)


def test_a_block_has_the_settings_and_hides_the_password() -> None:
    block = KafkaBroker(
        servers="a:1,b:1",
        protocol=Protocol.SASL_SSL,
        mechanism=Mechanism.SCRAM_SHA_256,
        username="shop",
        password=SecretStr("secret"),
        ca="PEM",
    )

    assert block.settings() == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "shop",
        "sasl.password": "secret",
        "ssl.ca.pem": "PEM",
    }
    assert "secret" not in repr(block)
    assert block.open().servers == "a:1,b:1"
