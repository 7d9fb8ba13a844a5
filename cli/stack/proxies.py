"""Keeps requests to the stack's own servers on the loopback address away from a proxy."""

from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost")


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which a program does not use its proxy for the loopback address."""
    named = {name.lower(): text for name, text in environment.items() if text}
    if not named.keys() & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    direct = ",".join(filter(None, (named.get("no_proxy"), *LOOPBACK)))
    return {"no_proxy": direct, "NO_PROXY": direct}  # some programs read the one, some the other
