"""A registry with the REST interface of Confluent's Schema Registry.

Protobuf schemas are asked for as descriptors (`format=serialized`), so that nothing here has to read `.proto` files.
Source: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import json
from collections.abc import Sequence
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from events.http_body import read_body
from events.registry.schema_registry import (
    RegisteredSchema,
    RegistryAwayError,
    SchemaId,
    SchemaKind,
    SchemaUnknownError,
)

SECONDS = 10.0
MOST_REFERENCES = 200
_NOT_FOUND = 404
_ANSWERED_BADLY = 400


class _Reference(BaseModel):
    name: str
    subject: str
    version: int


class _Answer(BaseModel):
    text: str = Field(alias="schema")
    kind: SchemaKind = Field(alias="schemaType", default=SchemaKind.AVRO)
    references: list[_Reference] = Field(default_factory=list)


class RestRegistry:
    """The registry at `url`. `login` is user and password, as `user:password`."""

    def __init__(self, url: str, login: str | None = None) -> None:
        user, _, password = (login or "").partition(":")
        auth = None if login is None else httpx.BasicAuth(user, password)
        self._client = httpx.Client(base_url=url, auth=auth, timeout=SECONDS, follow_redirects=False)

    def schema(self, schema_id: SchemaId) -> RegisteredSchema:
        """Return the schema, with all that it refers to."""
        answer = self._asked(f"/schemas/ids/{schema_id}")
        references: dict[str, str] = {}
        self._collect(answer.kind, answer.references, references)
        return RegisteredSchema(kind=answer.kind, text=answer.text, references=references)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _collect(self, kind: SchemaKind, wanted: Sequence[_Reference], found: dict[str, str]) -> None:
        """Add the texts of references to `found`, each after those that it refers to itself."""
        for reference in wanted:
            if reference.name in found:
                continue
            if len(found) >= MOST_REFERENCES:
                raise SchemaUnknownError(f"the schema refers to more than {MOST_REFERENCES} others")
            found[reference.name] = ""  # so that a circle ends
            answer = self._asked(f"/subjects/{quote(reference.subject, safe='')}/versions/{reference.version}", kind)
            self._collect(kind, answer.references, found)
            del found[reference.name]
            found[reference.name] = answer.text

    def _asked(self, path: str, kind: SchemaKind | None = None) -> _Answer:
        answer = self._got(path, {"format": "serialized"} if kind is SchemaKind.PROTOBUF else {})
        if answer.kind is SchemaKind.PROTOBUF and kind is None:
            return self._got(path, {"format": "serialized"})
        return answer

    def _got(self, path: str, query: dict[str, str]) -> _Answer:
        status, body = self._loaded(path, query)
        said = _object(body)
        if status == _NOT_FOUND and "error_code" in said:
            raise SchemaUnknownError(f"the registry has nothing at {path}")
        if status >= _ANSWERED_BADLY:
            raise RegistryAwayError(f"the schema registry answered {path} with {status}")
        if "schema" not in said:
            raise RegistryAwayError(f"what answers {path} is no schema registry: look at the `url` of the registry")
        try:
            return _Answer.model_validate(said)
        except ValidationError as error:
            raise SchemaUnknownError(f"the registry's answer for {path} is no schema that can be used") from error

    def _loaded(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        try:
            with self._client.stream("GET", path, params=query) as answer:
                return answer.status_code, read_body(answer, SECONDS)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise RegistryAwayError(f"the schema registry cannot be reached: {reason}") from error


def _object(body: bytes) -> dict[str, object]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
