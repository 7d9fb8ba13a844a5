"""What a reading may fail with. A caller that decides about safety treats both as "block"."""


class ObservationError(Exception):
    """A reading failed. `service` is what was asked; the message says who must act and what to do."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(f"{service}: {message}")
        self.service = service


class UnreachableError(ObservationError):
    """No usable answer came in time. The same reading may succeed later."""


class RefusedError(ObservationError):
    """The service will not answer this request. A person has to change it, or the credentials."""
