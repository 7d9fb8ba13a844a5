"""The written form of a run of any kind: which kind, and what that kind asks for."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from model.examine import refuse
from model.fields import FORBID
from model.plain import plain
from model.reading import Reader
from model.runs import RunKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """A run of some kind. The kind checks its own `spec`."""

    __pydantic_config__ = FORBID

    kind: Annotated[RunKind, Field(description="The kind of the run")]
    spec: Annotated[
        dict[str, object],
        Field(description="What is run: for a test as in POST /tests, for a suite as in a suite file"),
    ] = field(default_factory=dict)


RUN_FORM = Reader(RunForm)


def check_run(raw: object) -> RunForm:
    """Return the form that `raw` describes. Raises: InvalidError with all problems, but for those of the spec."""
    seen = plain(raw)
    reading = RUN_FORM.read(seen.value)
    refuse(seen, tuple(reading.findings))
    return reading.required()
