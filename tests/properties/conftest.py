"""Pure as the unit tests, but seconds each: many examples, whole days of a pool, many worlds."""

from unit.scheduler.conftest import make

__all__ = ["make"]
