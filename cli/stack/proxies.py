"""Behind a proxy: it leads to the world outside, never to the stack's own servers on the loopback address."""

from collections.abc import Mapping

LOOPBACK = ("127.0.0.1", "localhost")


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what keeps a program with these variables from asking a proxy for what is on this machine."""
    named = {name.lower(): text for name, text in environment.items() if text}
    if not named.keys() & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    direct = ",".join(filter(None, (named.get("no_proxy"), *LOOPBACK)))
    return {"no_proxy": direct, "NO_PROXY": direct}  # programs differ in which of both they read
