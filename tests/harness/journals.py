"""A journal of an experiment that was halted, with everything that a report can show."""

from datetime import timedelta
from random import Random

from chaos.experiment_reading import check_experiment
from chaos.graph import from_depends_on
from chaos.journal import EventKind, FaultRecord, Journal, JournalEvent, Phase
from chaos.judge import Judgement, Readings, judge_health, judge_slos
from chaos.price import bills
from chaos.provider import FaultStatus
from chaos.recovery import times
from chaos.safety import decide
from chaos.targets import Candidate, Target, resolve
from chaos.verdict import End, verdict
from chaos.windows import Window
from harness.chaos_readings import NOON, autocorrelated, counted, samples, second

LENGTH = 60
STEPS = ["safety-check", "resolve-targets", "admit", "baseline", "recheck", "inject", "observe", "revert", "recovery"]
SECONDS = [2.0, 1.0, 3.0, 60.0, 1.0, 1.0, 60.0, 2.0, 30.0]


def journal(name: str = "Payments loses 300 ms, and orders go on") -> Journal:
    """Return a journal in which latency deviates and success does not."""
    experiment = check_experiment(
        {
            "name": name,
            "fault": {"type": "network-latency", "parameters": {"latencyMs": 300}},
            "target": {"environment": "shop", "service": "payments"},
            "hypothesis": {
                "title": "Orders are placed while payments is slow",
                "healthChecks": [{"name": "orders is well", "type": "http", "url": "http://127.0.0.1:8101/health"}],
                "slos": [
                    {"name": "orders placed", "kind": "ratio", "source": "load", "objective": 99.0},
                    {"name": "latency", "kind": "value", "source": "load", "stepSeconds": 1, "unit": "seconds"},
                ],
            },
            "load": {"url": "http://127.0.0.1:8101/orders", "perSecond": 20.0},
            "durationSeconds": LENGTH,
            "haltConditions": [{"slo": "latency", "above": 2.0}],
            "errorBudget": {"maxPercent": 0.5, "expectedBadPercent": 10},
        }
    )
    random = Random(7)
    base = [0.08 * one for one in autocorrelated(random, LENGTH, 0.2, 0.15)]
    slow: list[float | None] = [0.38 * one for one in autocorrelated(random, LENGTH, 0.2, 0.1)]
    slow[20:23] = [None] * 3
    well = [0.08 * one for one in autocorrelated(random, 30, 0.2, 0.15)]
    bad = [float(n % 29 == 28) for n in range(LENGTH)]
    readings = {
        "latency": Readings(
            samples={
                Window.BASELINE: samples(base, 6),
                Window.FAULT: samples(slow, 69),
                Window.RECOVERY: samples(well, 131),
            }
        ),
        "orders placed": Readings(
            counts={
                Window.BASELINE: counted([0.0] * LENGTH, since=6),
                Window.FAULT: counted([*bad], since=69),
                Window.RECOVERY: counted([0.0] * 30, since=131),
            }
        ),
    }
    hypothesis = experiment.hypothesis
    graph = from_depends_on({"orders": ["payments", "inventory"], "payments": [], "inventory": []})
    target = Target(place="shop", service="payments", name="payments", identity="boot:4711:1")
    begins, phases = 0.0, []
    for step, seconds in zip(STEPS, SECONDS, strict=True):
        phases.append(Phase(name=step, begins=second(begins), ends=second(begins + seconds)))
        begins += seconds
    found = tuple(
        times(slo, 0.1, readings[slo.name], injected_at=second(68), reverted_at=second(130)) for slo in hypothesis.slos
    )
    return Journal(
        execution_id="0197d4b2-6a50-7c11-8000-00000000beef",
        experiment=experiment,
        verdict=verdict(End.JUDGED, Judgement.NOT_MET),
        reason="latency became worse than the tolerance allows.",
        started_at=NOON,
        ended_at=second(begins),
        phases=tuple(phases),
        events=(
            JournalEvent(at=second(68), kind=EventKind.FAULT, sentence="1-network-latency injected into payments"),
            JournalEvent(at=second(92), kind=EventKind.LIMIT, sentence="3 samples of latency were missing"),
            JournalEvent(
                at=second(129.4), kind=EventKind.FAULT, sentence="1-network-latency reverted, nothing is left"
            ),
        ),
        readings=readings,
        slos=judge_slos(hypothesis, readings, experiment.alpha),
        health=(judge_health("orders is well", 3, [True] * 55 + [False, True]),),
        times=found,
        bills=bills(experiment, found),
        resolution=resolve(experiment, [Candidate(target=target, opted_in=True)], graph),
        decisions=(decide(experiment.safety_checks, (), NOON),),
        faults=(
            FaultRecord(
                name="1-network-latency",
                type="network-latency",
                target="payments",
                status=FaultStatus.REVERTED,
                injected_at=second(68),
                reverted_at=second(129.4),
                effect="delayed: 1204",
            ),
        ),
        revert_latency=timedelta(seconds=0.42),
    )
