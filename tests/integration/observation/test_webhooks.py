"""Signed webhooks against a real server: the signature, and everything that is no agreement."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from harness.scripted_http import Answer, Asked, serving

from cluster.observation.errors import ObservationError, RefusedError, UnreachableError
from cluster.observation.signing import signature_headers, signing_keys
from cluster.observation.webhook import Message, Question, Webhook, WebhookAccess

KEY = b"0123456789abcdef0123456789abcdef"
OTHER = b"another-key-another-key-another!"
NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
MESSAGE = Message(id="e1.preflight", at=NOON, body={"type": "x", "data": {"name": "payments \N{SNOWMAN}"}})


def secret(*keys: bytes) -> str:
    return " ".join(f"whsec_{base64.b64encode(key).decode()}" for key in keys)


def webhook(url: str, signing: str | None = None, seconds: float = 5.0) -> Webhook:
    return Webhook(WebhookAccess(url=url, token="t0ken", signing=signing or secret(KEY)), seconds=seconds)


def is_signed(asked: Asked, key: bytes) -> bool:
    """Verify as a receiver does, written from the specification, without our code."""
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in asked.headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the reference libraries of Standard Webhooks are tested with."""
    keys = signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signature_headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_message_is_signed_by_each_secret_over_exactly_what_is_sent() -> None:
    with serving(lambda _: Answer(status=204, text="")) as server:
        assert await webhook(server.url, secret(KEY, OTHER)).ask_signed(MESSAGE) is None

    [asked] = server.asked
    assert (is_signed(asked, KEY), is_signed(asked, OTHER), is_signed(asked, KEY[::-1])) == (True, True, False)
    assert json.loads(asked.body) == MESSAGE.body
    assert (asked.headers["webhook-id"], asked.headers["content-type"]) == ("e1.preflight", "application/json")
    assert asked.headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=403, text="a release is under way"), "refuses: HTTP 403: a release is under way"),
        (Answer(status=404, text=""), "HTTP 404"),
        (Answer(status=500, text="down"), "HTTP 500"),
        (Answer(status=302, text="", headers={"Location": "/yes"}), "HTTP 302"),
        (Answer(status=304, text=""), "HTTP 304"),
        (Answer(hangs=True), "no answer within 0.3 s"),
    ],
)
async def test_anything_but_2xx_is_no_agreement_and_a_redirect_is_not_followed(answer: Answer, said: str) -> None:
    def script(asked: Asked) -> Answer:
        return Answer() if asked.path == "/yes" else answer

    with serving(script) as server:
        try:
            against = await webhook(server.url, seconds=0.3).ask_signed(MESSAGE)
        except ObservationError as error:
            against = str(error)

    assert said in (against or "")
    assert [asked.path for asked in server.asked] == ["/"]


async def test_nobody_there_is_no_agreement() -> None:
    with serving(lambda _: Answer()) as server:
        pass
    with pytest.raises(UnreachableError):
        await webhook(server.url).ask_signed(MESSAGE)


@pytest.mark.parametrize("wrong", ["whsec_", "whsec_c2hvcnQ=", "whsec_%%%", secret(KEY)[6:], " ", secret(KEY) + " x"])
async def test_a_secret_that_is_none_sends_nothing_and_is_not_told(wrong: str) -> None:
    with serving(lambda _: Answer()) as server, pytest.raises(RefusedError) as refused:
        await webhook(server.url, wrong).ask_signed(MESSAGE)

    assert server.asked == []
    assert "c2hvcnQ" not in str(refused.value)
    assert "signing secret" in str(refused.value)


async def test_without_a_secret_a_preflight_is_not_sent_and_a_question_is_not_signed() -> None:
    question = Question(experiment="x", execution="e1", step="recheck", services=["payments"])
    with serving(lambda _: Answer()) as server:
        plain = Webhook(WebhookAccess(url=server.url))
        with pytest.raises(RefusedError, match="has no signing secret"):
            await plain.ask_signed(MESSAGE)
        assert server.asked == []
        assert await plain.ask(question, NOON) is None
        assert await webhook(server.url).ask(question, NOON) is None

    unsigned, signed = server.asked
    assert "webhook-signature" not in unsigned.headers
    assert is_signed(signed, KEY)


async def test_a_question_that_is_asked_again_has_another_id() -> None:
    """The id is the idempotency key: a receiver may answer a repetition from memory, without looking again."""
    question = Question(experiment="x", execution="e1", step="observe", services=["payments"])
    with serving(lambda _: Answer()) as server:
        for at in (NOON, NOON + timedelta(seconds=10), NOON + timedelta(seconds=10, milliseconds=1)):
            await webhook(server.url).ask(question, at)

    assert len({asked.headers["webhook-id"] for asked in server.asked}) == 3
    assert all(asked.headers["webhook-id"].startswith("e1.observe.") for asked in server.asked)
    assert all(is_signed(asked, KEY) for asked in server.asked)


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "t0ken" not in repr(WebhookAccess(url="http://x", token="t0ken", signing=secret(KEY)))
    assert secret(KEY) not in repr(WebhookAccess(url="http://x", token="t0ken", signing=secret(KEY)))
