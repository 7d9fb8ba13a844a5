"""Faults of the broker during a test: when they are active, that they end, and what each assertion says of them."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest
from harness.scripted_http import Answer, Asked, serving

from events.assertions.occurrences import EventAssertion
from events.brokers.broker import Broker, BrokerUnfitError, Message
from events.brokers.memory import MemoryBroker
from events.brokers.mock_cluster import MockCluster
from events.driven_test import EventDrivenTest, EventTestResult
from events.event import Topic
from events.faults import BrokerChaos, BrokerDown, BrokerFault, BrokerSlow, FaultRunner
from events.form import load_test
from events.outcomes import Outcome
from events.pattern import EventPattern
from events.recording import read_recording, write_recording
from events.run import main, run_test
from events.triggers import TriggerError, TriggerUnfitError
from model.problems import InvalidError

ORDERS = Topic("orders")


class Calls:
    """A broker that notes its faults."""

    capabilities = MockCluster.capabilities

    def __init__(self) -> None:
        self.noted: list[tuple[object, ...]] = []

    def set_down(self, *, down: bool, broker: int = 1) -> None:
        self.noted.append(("down", broker, down))

    def delay(self, milliseconds: int, *, broker: int = 1) -> None:
        self.noted.append(("delay", broker, milliseconds))

    def fail_requests(self, request: int, *codes: int) -> None:
        self.noted.append(("fail", request, codes))


def runner(broker: object, *faults: BrokerFault) -> FaultRunner:
    begun = time.monotonic()
    return FaultRunner(faults, broker, lambda: (time.monotonic() - begun) * 1000)  # type: ignore[arg-type]


def test_faults_begin_and_end_in_order() -> None:
    broker = Calls()
    faults = runner(
        broker,
        BrokerFault(name="slow", disturbance=BrokerSlow(delay_ms=7, broker=2), after_ms=40, duration_ms=40),
        BrokerFault(name="down", disturbance=BrokerDown(), after_ms=0, duration_ms=60),
    )
    faults.begin()
    while len(broker.noted) < 4:
        time.sleep(0.005)

    windows = faults.stop().windows
    assert broker.noted == [("down", 1, True), ("delay", 2, 7), ("down", 1, False), ("delay", 2, 0)]
    assert [(one.name, one.ends > one.begins) for one in windows] == [("down", True), ("slow", True)]


def test_a_fault_ends_with_the_test_also_if_its_time_is_not_over() -> None:
    broker = Calls()
    faults = runner(broker, BrokerFault(name="down", disturbance=BrokerDown(), after_ms=0, duration_ms=60_000))
    faults.begin()
    while not broker.noted:
        time.sleep(0.005)

    (window,) = faults.stop().windows
    assert broker.noted == [("down", 1, True), ("down", 1, False)]
    assert window.ends < 60_000
    assert faults.stop().windows == (window,)


def test_a_broker_without_faults_is_refused_by_name() -> None:
    fault = BrokerFault(name="a", disturbance=BrokerDown(), after_ms=0, duration_ms=1)
    with pytest.raises(BrokerUnfitError, match="chaos of the broker needs faults"):
        BrokerChaos(faults=(fault,)).start(MemoryBroker(), lambda: 0.0)


class Shop:
    """A trigger that begins a service: it sends an order each 20 ms, until its test is over."""

    described = "a shop"

    def __init__(self) -> None:
        self.over = Flag()
        self.threads: list[Thread] = []

    def fire(self, broker: Broker) -> None:
        self.threads.append(Thread(target=self._send, args=(broker,)))
        self.threads[0].start()

    def _send(self, broker: Broker) -> None:
        number = 0
        while not self.over.wait(0.02):
            number += 1
            broker.produce(Message(topic=ORDERS, value=json.dumps({"type": "Order", "id": number}).encode()))

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_an_outage_is_seen_in_the_phases_and_in_the_recovery(tmp_path: Path) -> None:
    """The assertion wants five orders in 1.1 s: before and after there are so many, during the outage not."""
    cluster, shop = MockCluster(), Shop()
    cluster.create_topic(ORDERS, 1)
    outage = BrokerFault(name="the broker is away", disturbance=BrokerDown(), after_ms=1200, duration_ms=1150)
    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        trigger=shop,
        assertions=(
            EventAssertion(name="flow", pattern=EventPattern(type="Order"), min_occurrences=5, timeout_ms=1100),
        ),
        timeout_ms=20_000,
        chaos=BrokerChaos(faults=(outage,), recovery_ms=4_000),
    )

    result = test.execute(cluster)
    shop.end()
    cluster.close()

    (judged,) = result.results
    assert judged.phases is not None
    assert (judged.outcome, judged.phases.before, judged.phases.during) == (
        Outcome.PASSED, Outcome.PASSED, Outcome.FAILED,
    )  # fmt: skip
    assert judged.phases.recovered_ms is not None
    (window,) = result.windows
    assert (window.begins >= 1200, window.ends - window.begins >= 1000) == (True, True)
    assert result.ended_at >= test.chaos.lasts_ms
    recording = tmp_path / "events.jsonl"
    write_recording(recording, result)
    read = read_recording(recording)
    again = test.replay(read.events, ended_at=read.ended_at, scope=read.scope, windows=read.windows)
    assert [one.phases for one in again.results] == [judged.phases]


TEXT = """
name: order
topics: [orders]
timeoutMs: 3000
trigger: {produce: {topic: orders, payload: {type: OrderCreated}}}
chaos: {recoveryMs: 100, faults: [{name: slow, brokerSlowMs: 50, afterMs: 0, durationMs: 100}]}
assertions: [{expect: OrderCreated}]
"""


def test_chaos_in_yaml_is_told_in_every_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.yaml").write_text(TEXT)

    assert main([str(tmp_path / "t.yaml"), "--results", str(tmp_path)]) == 0
    assert "before the faults" in capsys.readouterr().out
    assert "before the faults" in (tmp_path / "junit.xml").read_text()
    assert 'class="fault"' in (tmp_path / "report.html").read_text()
    assert main([str(tmp_path / "t.yaml"), "--broker", "memory:"]) == 4
    assert "needs faults, which this broker lacks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("{afterMs: 0, durationMs: 5}", "has one of brokerDown, brokerSlowMs and errors"),
        ("{brokerDown: true, brokerSlowMs: 5, afterMs: 0, durationMs: 5}", "has one of"),
        ("{brokerDown: true, afterMs: 0}", "durationMs is missing"),
        ("{brokerDown: true, afterMs: -1, durationMs: 5}", "must be 0 or more"),
        ("{brokerDown: true, afterMs: 0, durationMs: 5000}", "longer than timeoutMs"),
        ("{errors: {request: produce, codes: []}, afterMs: 0}", "must not be empty"),
        ("{errors: {request: none, codes: [6]}, afterMs: 0}", "must be one of"),
    ],
)
def test_a_fault_that_cannot_be_is_a_problem(fault: str, said: str) -> None:
    old = "{name: slow, brokerSlowMs: 50, afterMs: 0, durationMs: 100}"
    with pytest.raises(InvalidError, match=said):
        load_test(TEXT.replace(old, fault))


class Engine:
    """Assay's REST interface with one experiment, which goes one step further at each look."""

    def __init__(self, *, steps: Sequence[str] = (), hangs: bool = False, validated: bool | None = True) -> None:
        self.steps = list(steps)
        self.hangs = hangs
        self.validated = validated
        self.aborted = False

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers["authorization"] != "Bearer key":
            return Answer(status=401, text="no")
        if asked.path.endswith("/experiments"):
            return Answer(status=201, body={"experimentId": "x-1", "of": json.loads(asked.body)["name"]})
        if asked.path.endswith("/abort"):
            self.aborted = True
        return Answer(status=202 if asked.path.endswith("/run") else 200, body=self._execution(asked))

    def _execution(self, asked: Asked) -> dict[str, object]:
        looked = asked.path.endswith("/e-1")
        step = self.steps[0] if self.steps else "observe"
        if looked and self.steps and not (self.hangs and len(self.steps) == 1):
            self.steps.pop(0)
        over = self.aborted or (looked and not self.steps)
        status = ("aborted" if self.aborted else "completed") if over else "running"
        validated = self.validated if status == "completed" else None
        return {
            "executionId": "e-1", "status": status, "hypothesisValidated": validated, "progress": {"step": step},
        }  # fmt: skip


EXPERIMENT = """
name: order
topics: [orders]
broker: "memory:"
timeoutMs: 5000
trigger: {produce: {topic: orders, payload: {type: OrderCreated}}}
chaos: {experiment: slow.yaml}
assertions: [{expect: OrderCreated, name: created}]
"""
WAY = ("baseline", "inject", "observe", "observe", "revert", "recovery", "record")


def carried(tmp_path: Path, engine: Engine, text: str = EXPERIMENT) -> EventTestResult:
    (tmp_path / "slow.yaml").write_text("name: slow\n")
    loaded = load_test(text, tmp_path)
    with serving(engine) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_URL", server.url)
        patch.setenv("ASSAY_API_KEY", "key")
        patch.setattr("events.experiments.LOOK_SECONDS", 0.05)
        return run_test(loaded, loaded.broker)


def test_an_experiment_is_carried_to_its_end_and_is_a_result(tmp_path: Path) -> None:
    result = carried(tmp_path, Engine(steps=WAY))

    assert [(one.name, one.outcome) for one in result.results] == [
        ("created", Outcome.PASSED), ("experiment slow", Outcome.PASSED),
    ]  # fmt: skip
    (window,) = result.windows
    assert (window.name, 0 < window.begins < window.ends) == ("slow", True)
    assert result.results[0].phases is not None


@pytest.mark.parametrize(("validated", "outcome"), [(False, Outcome.FAILED), (None, Outcome.INCONCLUSIVE)])
def test_a_hypothesis_that_is_not_validated_is_not_passed(
    tmp_path: Path, *, validated: bool | None, outcome: Outcome
) -> None:
    assert carried(tmp_path, Engine(steps=WAY, validated=validated)).outcome is outcome


def test_an_experiment_is_aborted_when_the_time_of_the_test_is_up(tmp_path: Path) -> None:
    engine = Engine(steps=("baseline", "inject"), hangs=True)

    result = carried(tmp_path, engine, EXPERIMENT.replace("5000", "700"))

    assert engine.aborted
    assert (result.outcome, result.results[1].outcome) == (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
    assert len(result.windows) == 1


def test_a_server_that_refuses_or_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.yaml").write_text("name: slow\n")
    loaded = load_test(EXPERIMENT, tmp_path)
    monkeypatch.delenv("ASSAY_URL", raising=False)
    with pytest.raises(TriggerUnfitError, match="ASSAY_URL"):
        run_test(loaded, "memory:")
    monkeypatch.setenv("ASSAY_URL", "http://127.0.0.1:1")
    with pytest.raises(TriggerError, match="does not answer"):
        run_test(loaded, "memory:")
    with serving(Engine()) as server:
        monkeypatch.setenv("ASSAY_URL", server.url)
        monkeypatch.setenv("ASSAY_API_KEY", "wrong")
        with pytest.raises(TriggerUnfitError, match="refused"):
            run_test(loaded, "memory:")


def test_an_experiment_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"chaos\.experiment: cannot be read"):
        load_test(EXPERIMENT, tmp_path)
