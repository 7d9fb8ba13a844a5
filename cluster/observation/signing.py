"""Signatures of what is sent to webhooks, by Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256.

A receiver computes the HMAC of `id.timestamp.body` anew, compares in constant time, and refuses a time that is more
than five minutes away. Its public libraries do that.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
VERSION = "v1"


class SigningError(Exception):
    """A signing secret is none. Whoever set it writes `whsec_` and the base64 of 24 to 64 random bytes."""


def signing_keys(secret: str) -> list[bytes]:
    """Return the keys of a secret: one, or several with blanks between them, to replace it. Raises: SigningError."""
    keys = [_key(part) for part in secret.split()]
    if not keys:
        raise SigningError("the signing secret is empty")
    return keys


def signature_headers(keys: list[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of a message: its id, its time in seconds, and a signature by each key."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"{VERSION},{one}" for one in signatures),
    }


def _key(text: str) -> bytes:
    """Return the key behind a part of a secret. No message holds any of it."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not SHORTEST <= len(key) <= LONGEST:
        raise SigningError(f"the signing secret must be {PREFIX} and the base64 of {SHORTEST} to {LONGEST} bytes")
    return key
