"""What is sent to stop all experiments, and to keep them off a target."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from model.fields import FORBID
from model.reading import Reader

Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why, for everybody who asks")]


_PATH = re.compile("(local|k8s)(/[a-z0-9][a-z0-9.-]*)+")


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("must be a path such as local/shop/payments or k8s/lab/shop/payments")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForm:
    """Why all experiments are stopped."""

    __pydantic_config__ = FORBID

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CordonForm:
    """Which target is cordoned, and why."""

    __pydantic_config__ = FORBID

    path: Annotated[str, AfterValidator(_path), Field(max_length=300, description="Such as local/shop/payments")]
    reason: Reason


STOP, CORDON = Reader(StopForm), Reader(CordonForm)
