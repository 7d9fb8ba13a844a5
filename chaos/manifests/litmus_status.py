"""What the objects of Litmus say about a fault: pure functions of engine, result and events.

There is no state "running": `engineStatus` is empty, `initialized`, then `completed` or `stopped`. Completed does not
mean passed, nor does stopped mean reverted: only the target in the result's history says what became of it.
`engineState: stop` means nothing at all, since the operator writes it on success, too.
Source: chaosengine_types.go and chaosresult_types.go of litmuschaos/chaos-operator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.manifests.litmus import NO_REVERT
from chaos.manifests.operator_state import OperatorState, Seen

ENDED = frozenset({"completed", "stopped"})
INJECTED = frozenset({"injected", "reverted"})
NOT_RUN = frozenset({"ChaosExperiment Not Found", "Skipped"})
RAN = frozenset({"Running", "Completed"})
"""An experiment makes its result before it injects. So one that was aborted without a result has injected nothing."""
PASS, AWAITED = "Pass", "Awaited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The status of an engine. `experiment` is that of its experiment, empty before it has begun."""

    uid: str
    engine_status: str = ""
    experiment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result: its verdict, why it failed, and what became of the target, empty if it is not in the history."""

    verdict: str = ""
    reason: str = ""
    target: str = ""


def engine_state(engine: Engine | None, result: Result | None, events: Sequence[str]) -> OperatorState:
    """Return how far the injection is. `events` are the warnings about the engine."""
    words = f" ({'; '.join(events)})" if events else ""
    if result is not None and result.target in INJECTED:
        return OperatorState(seen=Seen.ACTIVE, words=f"{result.target}, verdict {result.verdict or AWAITED}")
    if engine is None:
        return OperatorState(seen=Seen.FAILED, words=f"its ChaosEngine is gone{words}")
    if result is not None and result.verdict not in {"", AWAITED, PASS}:
        why = result.reason or "it gives no reason"
        return OperatorState(seen=Seen.FAILED, words=f"Litmus says {result.verdict}: {why}{words}")
    if engine.experiment in NOT_RUN:
        return OperatorState(seen=Seen.FAILED, words=f"Litmus says {engine.experiment}{words}")
    if engine.engine_status in ENDED:
        why = "without a result" if result is None else "and no target was injected"
        return OperatorState(seen=Seen.FAILED, words=f"the ChaosEngine {engine.engine_status} {why}{words}")
    status = engine.engine_status or "not taken up by an operator"
    return OperatorState(seen=Seen.WAITING, words=f"the ChaosEngine is {status}{words}")


def engine_left(experiment: str, engine: Engine | None, result: Result | None, pods: Sequence[str]) -> tuple[str, ...]:
    """Return what is left of a fault. `pods` are those that carry the engine's UID."""
    left = [f"the pod {name} of Litmus is still there" for name in pods]
    if engine is not None and engine.engine_status not in ENDED:
        left.append(f"the ChaosEngine is {engine.engine_status or 'not taken up by an operator'}, and has not ended")
    if experiment in NO_REVERT:
        return tuple(left)
    if result is None and engine is not None and engine.experiment in RAN:
        left.append("no ChaosResult says that the fault was reverted")
    if result is not None and result.target not in {"", "reverted", "targeted"}:
        left.append(f"the ChaosResult says that the target is {result.target}, and not that it was reverted")
    return tuple(left)
