"""Arrays with a column, or an entry, for each node of a pool."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Amounts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Columns = NDArray[np.intp]

KINDS = ("CPU", "memory", "ephemeral storage", "GPUs", "places for pods")
"""The rows of an array of amounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """The domains of a topology: their names, and in which each node is; -1 for a node that has no such label."""

    names: tuple[str, ...]
    of: Columns
