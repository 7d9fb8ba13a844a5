"""Which addresses a stranger may make us connect to."""

import ipaddress
import socket

import pytest

from cluster import addresses
from cluster.addresses import AddressError


@pytest.mark.parametrize("text", ["8.8.8.8", "140.82.121.3", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_public(text: str) -> None:
    assert addresses.public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1",
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b:1::1",
    ],
)  # fmt: skip
def test_any_form_of_a_private_address_is_not(text: str) -> None:
    assert not addresses.public(ipaddress.ip_address(text))


def answer(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    entries = [(0, 0, 0, "", (address, 443)) for address in found]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_a, **_k: entries)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "8.8.8.8", "10.0.0.1")

    with pytest.raises(AddressError, match=r"10\.0\.0\.1, which is not a public address; allowed_hosts"):
        addresses.resolve("example.org", 443)


def test_a_host_opened_by_name_may_be_private(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "10.0.0.1", "10.0.0.1", "fe80::1%eth0")

    found = addresses.resolve("Git.Example.org", 443, frozenset({"git.example.org"}))

    assert [str(address) for address in found] == ["10.0.0.1", "fe80::1"]


def test_a_name_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_a: object, **_k: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", nothing)

    with pytest.raises(AddressError, match="cannot be resolved"):
        addresses.resolve("example.org", 443)
