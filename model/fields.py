"""The field types of requests, with the limits of a single value. Pydantic checks them where data enters."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from model import forms
from model.quantity import milli, whole
from model.secret import well_formed

FORBID = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False, strict=True)
"""The pydantic configuration of all values from outside: camelCase names, strict types, no unknown keys."""

AUTO = "auto"
"""A request for what the test used before."""
MOST_CPU_MILLI = 1024 * 1000
MOST_BYTES = 2**50
MOST_CPU_SUM = 10**7 * 1000
MOST_BYTES_SUM = 2**60


def _as_text(value: object) -> object:
    """Accept numbers too: YAML and JSON can write a quantity without quotes."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cpu(text: str) -> str:
    if not 1 <= milli(text) <= MOST_CPU_MILLI:
        msg = "must be between 1m and 1024 cores"
        raise ValueError(msg)
    return text


def _cpu_or_auto(text: str) -> str:
    return text if text == AUTO else _cpu(text)


def _bytes_or_auto(text: str) -> str:
    return text if text == AUTO else _bytes(text)


def _bytes(text: str) -> str:
    if not 1 <= whole(text) <= MOST_BYTES:
        msg = "must be between 1 byte and 1Pi"
        raise ValueError(msg)
    return text


def _cpu_sum(text: str) -> str:
    if not 1 <= milli(text) <= MOST_CPU_SUM:
        msg = "must be between 1m and 10,000,000 cores"
        raise ValueError(msg)
    return text


def _bytes_sum(text: str) -> str:
    if not 1 <= whole(text) <= MOST_BYTES_SUM:
        msg = "must be between 1 byte and 1Ei"
        raise ValueError(msg)
    return text


CpuQuantity = Annotated[str, BeforeValidator(_as_text), AfterValidator(_cpu)]
ByteQuantity = Annotated[str, BeforeValidator(_as_text), AfterValidator(_bytes)]

CpuRequest = Annotated[str, BeforeValidator(_as_text), AfterValidator(_cpu_or_auto)]
ByteRequest = Annotated[str, BeforeValidator(_as_text), AfterValidator(_bytes_or_auto)]
"""A quantity, or `auto`."""

CpuSum = Annotated[str, BeforeValidator(_as_text), AfterValidator(_cpu_sum)]
ByteSum = Annotated[str, BeforeValidator(_as_text), AfterValidator(_bytes_sum)]
"""An amount that many runs may hold together."""

LINE_PATTERN = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
ENV_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
VOLUME_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
RESOURCE_PATTERN = r"^[a-z0-9]([-a-z0-9._/]*[a-z0-9])?$"
MOUNT_PATTERN = r"^/[^\x00:]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
ACCOUNT_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._@+-]*[A-Za-z0-9])?$"
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_TAG = r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
_DIGEST = r"(?:@(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}))?"
IMAGE_PATTERN = rf"^(?:{_HOST}/)?{_PART}(?:/{_PART})*{_TAG}{_DIGEST}$"
"""As container runtimes read a reference: https://github.com/distribution/reference/blob/main/reference.go"""

PATTERNS_IN_WORDS = {
    LINE_PATTERN: "must be one line of text without blanks at its ends",
    ENV_NAME_PATTERN: "is not a variable name: letters, digits and '_', not starting with a digit",
    VOLUME_NAME_PATTERN: "is not a volume name: a-z, 0-9 and '-', at most 63, with a letter or digit at both ends",
    OBJECT_NAME_PATTERN: "is not a name of a Kubernetes object: a-z, 0-9, '-' and '.', a letter or digit at both ends",
    RESOURCE_PATTERN: "must be of a-z, 0-9, '-', '.', '_' and '/', with a letter or digit at both ends",
    MOUNT_PATTERN: "must be an absolute path without ':'",
    ACCOUNT_PATTERN: "must be of letters, digits, '.', '_', '-', '+' and '@', with a letter or digit at both ends",
    EMAIL_PATTERN: "must be a mail address, name@host",
    IMAGE_PATTERN: "is not the name of an image, such as registry.example/python:3.12: small letters, no https://, "
    "a tag of at most 128 characters, or @sha256: and 64 digits",
    SHA256_PATTERN: "must be a SHA-256 digest: 64 digits of 0-9 and a-f",
}

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=LINE_PATTERN)]
AccountName = Annotated[str, Field(min_length=1, max_length=100, pattern=ACCOUNT_PATTERN)]
"""The name of a user or of a team. It is part of addresses of the API, so it has no slash."""
EmailAddress = Annotated[str, Field(max_length=255, pattern=EMAIL_PATTERN)]
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=LINE_PATTERN)]
EnvName = Annotated[str, Field(min_length=1, max_length=256, pattern=ENV_NAME_PATTERN), AfterValidator(forms.env_name)]
EnvValue = Annotated[str, Field(max_length=32_768), AfterValidator(well_formed)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317), AfterValidator(forms.label_key)]
TolerationKey = Annotated[str, Field(max_length=317), AfterValidator(forms.taint_key)]
LabelValue = Annotated[str, Field(max_length=63), AfterValidator(forms.label_value)]
ImageName = Annotated[str, Field(min_length=1, max_length=500, pattern=IMAGE_PATTERN)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME_PATTERN)]
ResourceName = Annotated[str, Field(min_length=1, max_length=100, pattern=RESOURCE_PATTERN)]
RelativePath = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(forms.relative_path)]
MOST_ENTRIES, LONGEST_ENTRY = 100, 1024
_Entry = Annotated[str, Field(min_length=1, max_length=LONGEST_ENTRY), AfterValidator(forms.entry)]
_ONE: TypeAdapter[str] = TypeAdapter(_Entry)
_SEVERAL: TypeAdapter[tuple[str, ...]] = TypeAdapter(
    Annotated[tuple[_Entry, ...], Field(min_length=1, max_length=MOST_ENTRIES)]
)
_ENTRY_SCHEMA: JsonDict = {"type": "string", "minLength": 1, "maxLength": LONGEST_ENTRY}
_ENTRIES_SCHEMA: JsonDict = {
    "anyOf": [_ENTRY_SCHEMA, {"type": "array", "items": _ENTRY_SCHEMA, "minItems": 1, "maxItems": MOST_ENTRIES}]
}


def _entries(value: object) -> str | tuple[str, ...]:
    """Read one entry, or a list of them. Pydantic's own union would report each problem twice, at paths of its own."""
    if not isinstance(value, str | list | tuple):
        raise ValueError("must be text, or a list of texts")  # noqa: TRY004  the input is wrong, not a Python type
    return _ONE.validate_python(value) if isinstance(value, str) else _SEVERAL.validate_python(value)


Entries = Annotated[str | tuple[str, ...], PlainValidator(_entries), WithJsonSchema(_ENTRIES_SCHEMA)]
"""What of a content is run: a folder or file, a test by its node id, or several of these."""
MountPath = Annotated[str, Field(max_length=1024, pattern=MOUNT_PATTERN), AfterValidator(forms.mount_path)]
Priority = Annotated[int, Field(ge=0, le=9, description="0 is the highest")]
