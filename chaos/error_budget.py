"""What an experiment may cost of an error budget, as a file writes it. `chaos.price` computes with it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from model.fields import FORBID

DEFAULT_WINDOW_DAYS = 30
ALL_REQUESTS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBudget:
    """What an experiment may cost, and how bad it is expected to be. It holds for each of its SLOs of kind ratio."""

    __pydantic_config__ = FORBID

    max_percent: Annotated[
        float, Field(gt=0, le=100, description="The most of the budget that it may cost; more is refused")
    ]
    window_days: Annotated[int, Field(ge=1, le=366, description="The window of the objective")] = DEFAULT_WINDOW_DAYS
    expected_bad_percent: Annotated[
        float, Field(gt=0, le=100, description="Bad requests that the fault is expected to cause; more of them halt")
    ] = ALL_REQUESTS
    traffic_factor: Annotated[
        float, Field(gt=0, le=1000, description="Traffic under the experiment, as a multiple of the window's mean")
    ] = 1.0
    failures: Annotated[int, Field(ge=1, le=100, description="So many samples that burn too fast halt")] = 3
    of: Annotated[int | None, Field(ge=1, le=100, description="Of the last so many; default: as many")] = None


UNLIMITED = ErrorBudget(max_percent=100.0)
"""What is assumed of an experiment that says nothing: every request is bad, from the injection on."""
