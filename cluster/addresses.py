"""Decides which network addresses a request may make us connect to: public ones, and hosts that the operator allows.

Every address of a name is checked, and the caller connects to exactly those addresses. That prevents server-side
request forgery and DNS rebinding. `is_global` alone is not enough: it accepts translated forms of private addresses.
"""

import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "64:ff9b::/96",  # NAT64: holds an IPv4 address
            "64:ff9b:1::/48",
            "2002::/16",  # 6to4: likewise
            "2001::/32",  # Teredo: likewise
            "::ffff:0:0/96",  # mapped IPv4; decoded first, so this is the second lock
            "192.0.0.0/24",  # metadata service of one cloud
            "168.63.129.16/32",  # and of another
        ),
    )
)


class AddressError(ValueError):
    """A host may not be reached from here. Its user names another, or the operator adds it to `allowed_hosts`."""


class NoAnswerError(Exception):
    """No name server answers, so it is not known whether there is such a host. The same may work later."""


_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def public(address: Address) -> bool:
    """Return True for an address of the public network, unicast."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None:
        return public(mapped)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolve(host: str, port: int, allowed_hosts: frozenset[str] = frozenset()) -> tuple[Address, ...]:
    """Return all addresses of `host`, each of which may be connected to.

    Raises: AddressError if it has none, or if any is not public and the host is not one of `allowed_hosts`;
    NoAnswerError if no name server answers.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"{host}: the name cannot be resolved: {error.strerror or error}"
        if error.errno in _NO_SUCH_HOST:
            raise AddressError(message) from error
        raise NoAnswerError(message) from error
    except UnicodeError as error:
        raise AddressError(f"{host}: the name cannot be resolved: {error}") from error
    addresses = tuple(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    if host.lower() not in allowed_hosts:
        for address in addresses:
            if not public(address):
                raise AddressError(f"{host} is {address}, which is not a public address; allowed_hosts can open it")
    return addresses
