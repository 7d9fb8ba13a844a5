"""The names of a fault's objects in a cluster. They follow from its id, so that any worker finds them."""

import hashlib
import re

from chaos.provider import FaultId

FAULT_LABEL = "assay.dev/fault"
"""On every object that was made for a fault. The value is `fault_name`."""
TARGET_LABEL = "assay.dev/fault-target"
"""On a pod that a fault affects or claims. The value is `fault_name`."""
LONGEST = 40
_PLAIN = re.compile(rf"[a-z0-9]([-a-z0-9]{{0,{LONGEST - 2}}}[a-z0-9])?")


def fault_name(fault: FaultId) -> str:
    """Return the id as part of a name and value of a label: itself if it is one, else the start of its SHA-256."""
    return fault if _PLAIN.fullmatch(fault) else hashlib.sha256(fault.encode()).hexdigest()[:LONGEST]


def object_name(fault: FaultId) -> str:
    """Return the name of the objects of a fault."""
    return f"assay-fault-{fault_name(fault)}"
