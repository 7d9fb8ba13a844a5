"""What can be wrong with a call to the database, told to whoever must act."""

from collections.abc import Sequence


class NotFoundError(Exception):
    """There is no such thing (any more); the caller looks again."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"no {kind} {key}")
        self.kind = kind
        self.key = str(key)


class ConflictError(Exception):
    """The thing is not in the state that the call needs; the caller looks again. `candidates` help to choose."""

    def __init__(self, message: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class ForbiddenError(Exception):
    """The caller may not do this; somebody else may. The message says who."""


class UnavailableError(Exception):
    """The server cannot be reached now. Nobody has to change a request: it is tried again."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"PostgreSQL cannot be reached ({cause}). Look whether it runs (assay status) and whether "
            "DATABASE_URL names it; the call may be repeated as it is."
        )
        self.cause = cause


class ClusterError(Exception):
    """The embedded PostgreSQL cannot be made, started or stopped; the message says what its owner can do."""
