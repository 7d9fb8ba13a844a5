"""Arrays with a column, or an entry, for each node of a pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.resources import Resources

Amounts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Columns = NDArray[np.intp]
NodeColumns: TypeAlias = Sequence[int]
"""A column for each of several runs."""

KINDS = ("CPU", "memory", "ephemeral storage", "GPUs", "places for pods")
"""The rows of an array of amounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """The domains of a topology: their names, and in which each node is; -1 for a node that has no such label."""

    names: tuple[str, ...]
    of: Columns


@lru_cache(maxsize=4096)
def vector(resources: Resources) -> Amounts:
    """Return what one run takes of a node, in the order of `KINDS`: its amounts and one place. Not to be changed."""
    amounts = np.array(
        (resources.cpu_milli, resources.memory_bytes, resources.ephemeral_bytes, resources.gpu, 1), dtype=np.int64
    )
    amounts.flags.writeable = False
    return amounts
