"""What a run asks of the gate that has no details of its own: limits and exclusive names decide when it starts."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from model.config import ExclusiveNames
from model.examine import refuse
from model.fields import FORBID, LabelKey, LabelValue, Priority
from model.plain import plain
from model.reading import Reader
from model.request import DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """A run that needs no node. `timeout` is the limit of its time, in seconds."""

    __pydantic_config__ = FORBID

    priority: Priority = DEFAULT_PRIORITY
    exclusive: ExclusiveNames = ()
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=50)] = field(default_factory=dict)
    timeout: Annotated[int, Field(ge=1, le=604_800, description="Seconds that it may take")] = 3600


GATE_REQUEST = Reader(GateRequest)


def check_gate_request(raw: object) -> GateRequest:
    """Return the request that `raw` describes. Raises: InvalidError with all problems, each with its path."""
    seen = plain(raw)
    reading = GATE_REQUEST.read(seen.value)
    refuse(seen, tuple(reading.findings))
    return reading.required()
