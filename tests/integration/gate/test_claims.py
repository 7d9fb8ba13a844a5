"""Claims in the rows: who shares, who excludes, over all pools, and what nobody has said (024)."""

from typing import Any

import pytest

from db import people, pools
from db.pools import Pool
from db.seeds import DEFAULT_POOL
from model.claims import exclusively
from model.config import ExecutionConfig
from model.ids import PoolName, RunId
from orchestrator import claiming

SHOP = "k8s/lab/shop"
SECOND = PoolName("second")


@pytest.fixture
def gate(bare: Any) -> Any:
    """A pool with a node that has room for all."""
    bare.node("a", cpu=10_000)
    bare.worker()
    return bare


def uses(*paths: str, team: Any = None) -> tuple[str, ...]:
    return claiming.of_test(ExecutionConfig(uses=paths), team)


def end(gate: Any, run: Any) -> None:
    gate.sql("DELETE FROM queue WHERE execution_id = :run", run=run)


def test_an_experiment_waits_for_what_uses_its_target_and_then_keeps_it(gate: Any) -> None:
    [first, second] = gate.submit(2, exclusive=uses(SHOP))
    assert set(gate.admitted()) == {first, second}
    [experiment] = gate.submit(exclusive=exclusively([f"{SHOP}/orders"]))
    assert gate.admitted() == []
    assert f"{SHOP} is held by run" in str(gate.said(experiment)[-1])

    end(gate, first)
    assert gate.admitted() == []
    end(gate, second)
    assert gate.admitted() == [experiment]

    [late], [other] = gate.submit(exclusive=uses(SHOP)), gate.submit(exclusive=uses("k8s/lab/billing"))
    assert gate.admitted() == [other]
    end(gate, experiment)
    assert gate.admitted() == [late]


def test_experiments_wait_for_tests_of_other_teams_that_say_nothing_and_not_for_each_other(gate: Any) -> None:
    red, blue = gate.team("red", most=9), gate.team("blue", most=9)
    unknown = claiming.of_test(ExecutionConfig(), blue)
    [test] = gate.submit(who=gate.person("bo", most=9, team=blue), exclusive=unknown)
    assert gate.admitted() == [test]

    def experiment(path: str, team: Any) -> Any:
        run = RunId(gate.new_id())
        claimed = gate.do(lambda conn: claiming.of_experiment(conn, [path], run, team))
        return gate.submit(exclusive=claimed)[0]

    of_red, of_red_too, of_blue = experiment(SHOP, red), experiment("k8s/lab/mail", red), experiment("local/x", blue)
    assert gate.admitted() == [of_blue]
    assert "what tests use that do not say it (config.uses) is held by run" in str(gate.said(of_red)[-1])
    end(gate, test)
    assert set(gate.admitted()) == {of_red, of_red_too}


def test_what_a_team_uses_stands_for_tests_that_say_nothing(gate: Any) -> None:
    gate.team("red", most=9)
    gate.do(lambda conn: people.set_uses(conn, "red", [SHOP]))
    ann = gate.person("ann", most=9, team=gate.do(lambda conn: people.team(conn, "red")).team_id)
    user = gate.do(lambda conn: people.user(conn, ann.user_id))

    assert claiming.of_test(ExecutionConfig(), user.team_id, user.team_uses) == uses(SHOP)
    said = ExecutionConfig(uses=("local/x",), exclusive=("printer",))
    assert claiming.of_test(said, user.team_id, user.team_uses) == ("local#is", "local/x#s", "printer")


def test_claims_hold_over_all_pools(gate: Any) -> None:
    gate.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    gate.worker("w1", pool=SECOND)
    [holder] = gate.submit(exclusive=uses(SHOP))
    assert gate.admitted() == [holder]
    gate.sql("UPDATE queue SET pool = :second WHERE execution_id = :run", second=SECOND, run=holder)

    [experiment], [test] = gate.submit(exclusive=exclusively([SHOP])), gate.submit(exclusive=uses(SHOP))

    assert gate.admitted() == [test]
    assert f"{SHOP} is held by a run of another pool" in str(gate.said(experiment)[-1])
    assert gate.row(experiment).pool == DEFAULT_POOL
