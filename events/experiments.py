"""An experiment of the chaos engine that a test carries: it is run by Assay's REST interface while events arrive.

Server and key are in `ASSAY_URL` and `ASSAY_API_KEY`, which the request sets in `env`, the key from a secret. When a
fault was active is noted by the clock of the test, by looking at the step of the experiment: no clocks are compared.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from events.brokers.broker import Broker
from events.chaos import Disturbed, FaultWindow
from events.event import Milliseconds
from events.outcomes import AssertionResult, Outcome
from events.triggers import TriggerError, TriggerUnfitError

LOOK_SECONDS = 0.2
HTTP_SECONDS = 10.0
ABORT_SECONDS = 60.0
"""How long an experiment that is aborted may take to revert its faults."""
_BASE = "/api/v1/chaos"
_ACTIVE = frozenset({"inject", "observe", "revert"})
_ENDED = frozenset({"completed", "aborted", "failed"})
_BROKEN = 500
_ANSWERED_BADLY = 400


class _Progress(BaseModel):
    step: str = ""


class _Execution(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    execution_id: str
    status: str
    hypothesis_validated: bool | None = None
    reason: str = ""
    wait_reason: str = ""
    progress: _Progress | None = None

    @property
    def active(self) -> bool:
        """Say whether a fault may be active."""
        return self.progress is not None and self.progress.step in _ACTIVE and self.status not in _ENDED


class _Experiment(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    experiment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentChaos:
    """The experiment of a file. The test runs until it has ended; if the test ends before, it is aborted."""

    name: str
    definition: Mapping[str, JsonValue]

    @property
    def lasts_ms(self) -> Milliseconds:
        """Return 0: only the server knows how long it waits and lasts."""
        return 0.0

    def start(self, broker: Broker, now: Callable[[], Milliseconds]) -> "ExperimentRunner":
        """Queue it. Raises: TriggerUnfitError if the server refuses it; TriggerError if it does not answer."""
        del broker
        address = os.environ.get("ASSAY_URL", "")
        if not address:
            raise TriggerUnfitError("an experiment needs ASSAY_URL and ASSAY_API_KEY in the environment of the test")
        key = os.environ.get("ASSAY_API_KEY", "")
        client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=HTTP_SECONDS)
        try:
            made = _Experiment.model_validate_json(_sent(client, f"{_BASE}/experiments", dict(self.definition)))
            queued = _Execution.model_validate_json(_sent(client, f"{_BASE}/experiments/{made.experiment_id}/run"))
        except BaseException:
            client.close()
            raise
        runner = ExperimentRunner(name=self.name, client=client, now=now, known=queued)
        runner.begin()
        return runner


@dataclass(slots=True, kw_only=True)
class ExperimentRunner:
    """Looks at an experiment until it has ended, in a thread of its own."""

    name: str
    client: httpx.Client
    now: Callable[[], Milliseconds]
    known: _Execution
    _begins: Milliseconds | None = None
    _window: FaultWindow | None = None
    _over: Event = field(default_factory=Event)
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None

    @property
    def over(self) -> bool:
        """Say whether it has ended."""
        return self._over.is_set()

    def begin(self) -> None:
        """Begin to look."""
        self._thread = Thread(target=self._follow, name="event-experiment", daemon=True)
        self._thread.start()

    def stop(self) -> Disturbed:
        """Abort it if it has not ended, wait until its faults are reverted, and return what it was."""
        if not self.over:
            self._abort()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.client.close()
        windows = () if self._window is None else (self._window,)
        return Disturbed(windows=windows, results=(self._result(),))

    def _abort(self) -> None:
        try:
            _sent(self.client, f"{_BASE}/executions/{self.known.execution_id}/abort")
        except TriggerError:
            return  # its guards revert it; the result says that its end was not seen
        self._over.wait(ABORT_SECONDS)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._look()
            if self.known.status in _ENDED:
                self._over.set()
                return
            self._stopping.wait(LOOK_SECONDS)

    def _look(self) -> None:
        try:
            answer = self.client.get(f"{_BASE}/executions/{self.known.execution_id}")
            if answer.is_success:
                self.known = _Execution.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError):
            return  # the next look may see more
        if self.known.active and self._begins is None:
            self._begins = self.now()
        if self._begins is not None and self._window is None and not self.known.active:
            self._window = FaultWindow(name=self.name, begins=self._begins, ends=self.now())

    def _result(self) -> AssertionResult:
        """Return the verdict of the experiment as a result of the test. Without one, the chaos proves nothing."""
        known, outcome = self.known, Outcome.INCONCLUSIVE
        if known.hypothesis_validated is not None and self.over:
            outcome = Outcome.PASSED if known.hypothesis_validated else Outcome.FAILED
        why = known.reason or known.wait_reason
        message = f"execution {known.execution_id} is {known.status}{f': {why}' if why else ''}"
        return AssertionResult(name=f"experiment {self.name}", outcome=outcome, message=message, at=self.now())


def _sent(client: httpx.Client, path: str, body: JsonValue = None) -> bytes:
    try:
        answer = client.post(path, json=body) if body is not None else client.post(path)
    except httpx.HTTPError as error:
        raise TriggerError(f"Assay's server does not answer: {error}") from error
    if answer.status_code >= _BROKEN:
        raise TriggerError(f"Assay's server answered {path} with {answer.status_code}")
    if answer.status_code >= _ANSWERED_BADLY:
        raise TriggerUnfitError(f"Assay refused {path}: {answer.text[:500]}")
    return answer.content
