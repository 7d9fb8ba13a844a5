"""The approval of one execution by a second person: what exactly was approved, by whom, and until when it holds."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chaos.experiment import Experiment
from chaos.experiment_reading import experiment_to_raw


class ApprovalState(StrEnum):
    """Where an approval stands. It never goes back to `waiting`."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a rule asked for, and what came of it. After `expires_at` nothing can be approved, and nothing is."""

    rules: tuple[str, ...]
    digest: str
    state: ApprovalState
    expires_at: datetime
    by: str | None = None
    decided_at: datetime | None = None
    comment: str = ""


def experiment_digest(experiment: Experiment, load_version: str = "") -> str:
    """Return the SHA-256 of an experiment's canonical JSON, and of the version of its load test: what is approved."""
    raw = experiment_to_raw(experiment)
    whole = {"experiment": raw, "loadVersion": load_version} if load_version else raw
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What must have been approved by now: which rules ask, of whom by the rules and teams of now, and about what."""

    rules: Sequence[str]
    approvers: Sequence[str]
    digest: str


def reason_against(approval: Approval | None, wants: Wants, now: datetime) -> str | None:
    """Return why an execution may not go on that rules ask about. None if it was approved, and still is."""
    asked = wants.rules
    if not asked:
        return None
    if approval is None:
        names = ", ".join(asked)
        return f"a second person must approve it ({names}), and was not asked when it was submitted: submit it again"
    if approval.state is ApprovalState.APPROVED:
        return _not_covered(approval, wants, now)
    if approval.state is ApprovalState.DENIED:
        return f"{approval.by} denied it: {approval.comment or 'no reason was given'}"
    return f"nobody approved it until {approval.expires_at:%Y-%m-%d %H:%M} UTC ({', '.join(asked)})"


def _not_covered(approval: Approval, wants: Wants, now: datetime) -> str | None:
    missing = sorted(set(wants.rules) - set(approval.rules))
    if missing:
        return f"{approval.by} approved it before the team had the rules {', '.join(missing)}: submit it again"
    if approval.by not in wants.approvers:
        return f"{approval.by} approved it, and may not by the rules and teams of now: submit it again"
    if approval.digest != wants.digest:
        changed = f"another experiment, or another version of its load test ({approval.digest[:19]})"
        return f"{approval.by} approved {changed}: submit it again"
    if now >= approval.expires_at:
        return f"its approval by {approval.by} expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC: submit it again"
    return None
