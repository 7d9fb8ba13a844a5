"""Follows all objects of one kind in one thread: the list first, then its changes.

It goes on from the last version that it has seen, also after the connection broke. The list is read anew where the
server has forgotten that version.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import Field, ValidationError

from cluster.backend import UnavailableError
from cluster.kubernetes.api_objects import ApiObject, Meta
from cluster.kubernetes.connection import ApiError, Connection

PAUSE = 1.0
GONE = 410
"""The server has forgotten the version from which a watch was to go on: the list has to be read again."""
PAGE = 500
"""Objects of a list that are read at once: a server does not have to build the list of a whole cluster in memory."""

T = TypeVar("T", bound=ApiObject)
T_contra = TypeVar("T_contra", bound=ApiObject, contravariant=True)

log = logging.getLogger("assay.kubernetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[T]):
    """Which objects are followed. `title` names them for people, `kind` reads one of them."""

    title: str
    path: str
    kind: type[T]
    query: tuple[tuple[str, str], ...] = ()


class Changes(Protocol[T_contra]):
    """Is told what is there. All calls come from the thread of the watch."""

    def listed(self, objects: Sequence[T_contra]) -> None:
        """Take these for all that is there."""
        ...

    def changed(self, one: T_contra) -> None:
        """Take in an object that is new, or that has changed."""
        ...

    def deleted(self, one: T_contra) -> None:
        """Drop an object: it is gone, or is not one of these any more."""
        ...


class Page(ApiObject):
    """What is read of a page of a list besides its objects."""

    class Meta(ApiObject):
        """The metadata of a list. `continue_` is where the next page begins."""

        resource_version: str = ""
        continue_: str = Field("", alias="continue")

    metadata: Meta = Meta()


class Listed(ApiObject, Generic[T]):
    """The objects of a page."""

    items: tuple[T, ...] = ()


class Head(ApiObject):
    """What is read first of a line of a watch: the object may be a bookmark or an error."""

    class Object(ApiObject):
        """The object of the line."""

        metadata: Meta = Meta()

    type: str
    object: Object


class Line(ApiObject, Generic[T]):
    """A line of a watch with an object of the kind."""

    object: T


class ListWatch(Generic[T]):
    """Follows a source from `begin` on, until it is closed. `trouble` says why nothing is known now."""

    def __init__(self, connection: Connection, source: Source[T], changes: Changes[T]) -> None:
        self._connection = connection
        self._source = source
        self._changes = changes
        self._page = Listed[source.kind]  # type: ignore[name-defined]
        self._line = Line[source.kind]  # type: ignore[name-defined]
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._version = ""
        self._thread: threading.Thread | None = None
        self.trouble = ""

    def begin(self) -> None:
        """Start to follow, if that has not been done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"assay-{self._source.title}", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until the list was read, or could not be; return whether one of both has happened."""
        return self._tried.wait(seconds)

    def close(self) -> None:
        """End it."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                if not self._version:
                    self._version = self._list()
                self._follow()
            except (UnavailableError, ApiError, ValidationError) as failed:
                if not isinstance(failed, UnavailableError):
                    self._version = ""
                if not self._closed.is_set():
                    self.trouble = str(failed)
                    self._tried.set()
                    log.warning("the watch of the %s begins anew: %s", self._source.title, failed)
                self._closed.wait(PAUSE)

    def _list(self) -> str:
        """Read all objects. Return the version from which a watch goes on."""
        objects: list[T] = []
        more = ""
        while True:
            limits = (("limit", str(PAGE)), ("continue", more)) if more else (("limit", str(PAGE)),)
            data = self._connection.get(self._source.path, *self._source.query, *limits)
            objects += self._page.model_validate_json(data).items
            page = Page.model_validate_json(data).metadata
            more = page.continue_
            if not more:
                break
        self._changes.listed(objects)
        self.trouble = ""
        self._tried.set()
        return page.resource_version

    def _follow(self) -> None:
        """Take in changes until the server ends the watch."""
        query = (*self._source.query, ("resourceVersion", self._version))
        try:
            lines = self._connection.watch(self._source.path, *query)
            self.trouble = ""
            self._take_all(lines)
        except ApiError as refused:
            if refused.status != GONE:
                raise
            self._version = ""

    def _take_all(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            head = Head.model_validate_json(line)
            if head.type == "ERROR":
                self._version = ""
                return
            if head.type != "BOOKMARK":
                one = self._line.model_validate_json(line).object
                (self._changes.deleted if head.type == "DELETED" else self._changes.changed)(one)
            self._version = head.object.metadata.resource_version
