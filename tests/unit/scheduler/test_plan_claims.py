"""Claims with modes and paths: tests share what they use, an experiment has to itself what it disturbs."""

from datetime import datetime, timedelta
from itertools import count
from random import Random
from types import SimpleNamespace

from model.claims import Claim, ClaimMode, conflict, entries_of, exclusively
from model.ids import ExecutionId
from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.plan import plan
from scheduler.simulation.event_simulation import Ended, Started, forward
from scheduler.values.run import Queued

SHOP = "k8s/lab/shop"
NAMESPACES = [f"k8s/lab/{name}" for name in ("shop", "billing", "search", "mail")]


def sharing(*paths: str) -> tuple[str, ...]:
    return entries_of(Claim(path=path, mode=ClaimMode.SHARED) for path in paths)


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def reasons(decisions: list[Decision]) -> dict[int, str]:
    return {d.run.seq: str(d.reason) for d in decisions if isinstance(d, Wait)}


def test_tests_share_and_an_experiment_waits_for_all_of_them(make: SimpleNamespace) -> None:
    waiting = [make.queued(n, exclusive=sharing(SHOP)) for n in (1, 2)]
    waiting.append(make.queued(3, exclusive=exclusively([f"{SHOP}/orders"])))

    decisions = plan(make.state(waiting), make.NOON)

    assert admitted(decisions) == [1, 2]
    assert reasons(decisions) == {3: f"{SHOP} is held by run 00000003"}


def test_tests_wait_for_an_experiment_on_a_service_of_what_they_use(make: SimpleNamespace) -> None:
    holding = [make.running(9, exclusive=exclusively([f"{SHOP}/orders"]))]
    used = {1: SHOP, 2: f"{SHOP}/orders", 3: f"{SHOP}/payments", 4: "k8s/lab/billing"}
    waiting = [make.queued(n, exclusive=sharing(path)) for n, path in used.items()]

    assert admitted(plan(make.state(waiting, holding=holding), make.NOON)) == [3, 4]


def test_an_aged_experiment_lets_no_later_test_share_what_it_needs(make: SimpleNamespace) -> None:
    holding = [make.running(9, exclusive=sharing(SHOP))]
    waiting = [make.queued(1, exclusive=exclusively([SHOP]), minutes=600)]
    waiting += [make.queued(2, exclusive=sharing(SHOP)), make.queued(3, exclusive=sharing("k8s/lab/billing"))]

    decisions = plan(make.state(waiting, holding=holding), make.NOON)

    assert admitted(decisions) == [3]
    assert reasons(decisions)[2] == f"{SHOP} is kept for run 00000002, which waited too long"


def test_a_claim_that_is_shared_in_another_pool_keeps_an_experiment_waiting(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, exclusive=exclusively([SHOP])), make.queued(2, exclusive=sharing(SHOP))])
    state.exclusive_elsewhere = frozenset(sharing(SHOP))

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == [2]
    assert reasons(decisions) == {1: f"{SHOP} is held by a run of another pool"}


def test_no_test_runs_beside_an_experiment_on_what_it_uses_and_nobody_starves(make: SimpleNamespace) -> None:
    """200 tests of three teams over four namespaces, and eight experiments, in virtual time."""
    random, numbers, claims = Random(3), count(1), dict[ExecutionId, Claim]()

    def run(claim: Claim, minute: int, team: int) -> Queued:
        number = next(numbers)
        claims[make.run_id(number)] = claim
        came = make.NOON + timedelta(minutes=minute)
        given = {"enqueued_at": came, "team_id": make.team(team), "user_id": make.user(team), "cpu": 200}
        made: Queued = make.queued(number, exclusive=entries_of([claim]), **given)
        return made

    tests = [
        run(Claim(path=random.choice(NAMESPACES), mode=ClaimMode.SHARED), random.randrange(600), random.randrange(3))
        for _ in range(200)
    ]
    services = [f"{namespace}/{service}" for namespace in NAMESPACES for service in ("orders", "payments")]
    arrivals = sorted((*tests, *(run(Claim(path=path), 60 * n, n % 3) for n, path in enumerate(services))), key=_came)
    lasts = {one.execution_id: timedelta(minutes=random.randrange(1, 30)) for one in arrivals}

    running, ended = set[ExecutionId](), set[ExecutionId]()
    for event in forward(make.state([]), make.NOON, lambda one: lasts[one.execution_id], arrivals):
        if isinstance(event, Ended):
            running.discard(event.run)
            ended.add(event.run)
        elif isinstance(event, Started):
            mine = claims[event.run.execution_id]
            assert not any(conflict(mine, claims[other]) for other in running)
            running.add(event.run.execution_id)

    assert ended == claims.keys()


def _came(run: Queued) -> tuple[datetime, int]:
    return run.enqueued_at, run.seq


def test_an_aged_run_keeps_none_of_its_names_while_one_before_it_waits_for_one_of_them(make: SimpleNamespace) -> None:
    """Rule 6: so the other name stays free for a run that comes later."""
    aged = {"minutes": 900}
    waiting = [make.queued(1, exclusive=("db",), **aged), make.queued(2, exclusive=("bus", "db"), **aged)]
    waiting.append(make.queued(3, exclusive=("bus",)))

    decisions = plan(make.state(waiting, holding=[make.running(9, exclusive=("db",))]), make.NOON)

    assert admitted(decisions) == [3]
