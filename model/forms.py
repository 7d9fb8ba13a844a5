"""Check the form of single texts: label keys, paths inside a content, repositories, branches, reserved names.

Each function returns the text, or raises ValueError. The message continues a sentence that begins with the field.
"""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE)
_NOT_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_PREFIX = 253
_LONGEST_COMPONENT = 255

LINK_LOCAL = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
"""Addresses at which clouds hand out the credentials of a node."""
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
RESERVED_NAMES = frozenset({"PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "HOME"})
RESERVED_PREFIXES = ("PREFECT_", "KUBERNETES_", "ASSAY_")


def label_key(text: str) -> str:
    """Accept a label key of Kubernetes: an optional DNS prefix and a slash, then a name of at most 63 characters."""
    prefix, slash, name = text.rpartition("/")
    if slash and not _is_dns_name(prefix):
        raise ValueError("has a prefix that is not a DNS name: write prefix/name, such as example.com/team")
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError(
            "is not a label key: letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends, "
            "and before it, if needed, a DNS name and '/'"
        )
    return text


def taint_key(text: str) -> str:
    """Accept a label key, or the empty text, which means all taints."""
    return label_key(text) if text else text


def label_value(text: str) -> str:
    """Accept a label value of Kubernetes. It may be empty."""
    if text and not _LABEL_NAME.fullmatch(text):
        raise ValueError(
            "is not a label value: letters, digits, '-', '_' and '.', at most 63, with a letter or digit at both ends"
        )
    return text


def env_name(text: str) -> str:
    """Refuse the names of variables that Assay sets itself, and those that decide which programs run."""
    if text in RESERVED_NAMES or text.startswith(RESERVED_PREFIXES):
        raise ValueError("is reserved: Assay sets it for the test itself")
    return text


def relative_path(text: str) -> str:
    """Accept a normalised path that stays inside the content."""
    if "\\" in text:
        raise ValueError("must use '/' and no backslash")
    if _CONTROL.search(text):
        raise ValueError("must hold no control characters")
    if text.startswith("/"):
        raise ValueError("must be relative, not start with '/'")
    parts = text.split("/")
    if ".." in parts:
        raise ValueError("must stay inside the content, without '..'")
    if "" in parts or "." in parts:
        raise ValueError("must have no empty part and no '.' part")
    if any(len(part.encode()) > _LONGEST_COMPONENT for part in parts):
        raise ValueError(f"must have no part longer than {_LONGEST_COMPONENT} bytes")
    return text


def folder_or_file(text: str) -> str:
    """Accept a relative path, or '.' for the whole content."""
    return text if text == "." else relative_path(text)


def entry(text: str) -> str:
    """Accept a folder or file of the content, or a test of one by its node id: `test_a.py::TestB::test_c`."""
    path, colons, test = text.partition("::")
    if _CONTROL.search(test):
        raise ValueError("must hold no control characters")
    if colons and (not test or path == "."):
        raise ValueError("must name a file before '::' and a test behind it")
    folder_or_file(path)
    return text


def mount_path(text: str) -> str:
    """Accept a normalised absolute path."""
    if any(part in {"", ".", ".."} for part in text[1:].split("/")):
        raise ValueError("must be an absolute path without '..', '.' or empty parts")
    return text


def cidr(text: str) -> str:
    """Accept a network address that leads neither back to the node nor to what hands out its credentials."""
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError("is not a network address, such as 10.20.0.0/16 or 192.0.2.7/32") from None
    near = (*LINK_LOCAL, *LOOPBACK)
    if any(network.version == other.version and network.subnet_of(other) for other in near):  # type: ignore[arg-type]
        raise ValueError("is an address of the node itself, which no test may reach")
    return text


def branch(text: str) -> str:
    """Accept what `git check-ref-format --branch` accepts as the name of a branch. Tags have the same names."""
    if found := _NOT_IN_BRANCH.search(text):
        raise ValueError(f"is not a branch name for git: it must not have {found[0]!r}")
    if text.startswith(("-", "/", ".")) or text.endswith(("/", ".", ".lock")) or text in {"", "HEAD"}:
        raise ValueError(
            "is not a branch name for git: it must not start with '-', '/' or '.', nor end with '/', '.' or '.lock', "
            "nor be HEAD"
        )
    return text


def repository(text: str) -> str:
    """Accept an https address of a repository without credentials. The clone checks whether the host is allowed."""
    return _address(text, "a repository")


def archive(text: str) -> str:
    """Accept an https address of an archive without credentials. The download checks whether the host is allowed."""
    return _address(text, "an archive")


def _address(text: str, what: str) -> str:
    if _CONTROL.search(text) or " " in text:
        raise ValueError("must hold no blanks and no control characters")
    try:
        parts = urlsplit(text)
        port_is_wrong = parts.port == 0
    except ValueError:
        raise ValueError("is not a valid address") from None
    if parts.scheme != "https":
        raise ValueError("must start with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user name and no password: they would be stored and shown")
    if port_is_wrong or not _is_host(parts.hostname or ""):
        raise ValueError("has no valid host")
    if parts.path in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"must name {what} on its host, with no '?' and no '#'")
    return text


def _is_host(text: str) -> bool:
    if ":" in text or text.replace(".", "").isdigit():
        return _is_address(text)
    return _is_dns_name(text.removesuffix("."))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_dns_name(text: str) -> bool:
    return len(text) <= _LONGEST_PREFIX and all(_DNS_LABEL.fullmatch(part) for part in text.split("."))
