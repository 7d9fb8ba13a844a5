"""What experiments of the past have shown, by command and by REST: the resilience of services."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from harness.past_experiments import Past, ended
from harness.rest import Api
from sqlalchemy import text

from chaos.experiment_reading import check_experiment, experiment_from_yaml, experiment_to_raw
from chaos.judge import Judgement
from chaos.verdict import End
from db import chaos_history
from db.engine import Database
from orchestrator.game_days import earlier_result

Assay = Callable[..., tuple[int, str, str]]
SLOW = experiment_from_yaml((Path(__file__).parents[3] / "examples/chaos/payments-slow.yaml").read_text())
KILL = check_experiment(
    experiment_to_raw(SLOW)
    | {"name": "killed", "faults": [{"type": "pod-kill", "durationSeconds": SLOW.faults[0].duration_seconds}]}
)


@pytest.fixture
def history(db: Database) -> dict[str, str]:
    """Latency held five weeks ago, and was inconclusive since; a kill was halted a week ago; an abort says nothing."""
    days = timedelta(days=1)
    return {
        "slow": str(ended(db, SLOW, Past(ago=30 * days, callers=("orders",)))),
        "again": str(ended(db, SLOW, Past(ago=2 * days, judgement=Judgement.INCONCLUSIVE))),
        "killed": str(ended(db, KILL, Past(ago=8 * days, end=End.HALTED))),
        "aborted": str(ended(db, KILL, Past(end=End.ABORTED))),
    }


def test_a_score_comes_from_verdicts_and_says_what_was_never_tested(
    assay: Assay, api: Api, history: dict[str, str], tmp_path: Path
) -> None:
    code, written, _ = assay("chaos", "score", "payments", "--json")
    [payments] = json.loads(written)["services"]
    cells = {cell["type"]: cell for cell in payments["cells"]}

    assert code == 0
    assert payments["service"] == "local/shop/payments"
    slow, killed = cells["network-latency"], cells["pod-kill"]
    assert (slow["run"], slow["withoutVerdict"], killed["run"]) == (history["slow"], 1, history["killed"])
    assert (slow["credit"], killed["credit"]) == (pytest.approx(0.25, abs=0.01), 0)
    assert (killed["state"], killed["withoutVerdict"], killed["failsAt"]) == ("failed", 1, pytest.approx(0.5))
    assert len(payments["neverTested"]) == 8
    assert payments["score"] == pytest.approx(100 * 3 * slow["credit"] / 23, abs=0.1)
    assert [point["score"] for point in payments["trend"]][:8] == [0] * 8
    assert payments["trend"][-2]["score"] > payments["trend"][-1]["score"] > 0

    code, shown, said = assay("chaos", "score")
    assert code == 0
    assert "local/shop/orders" in shown, "a caller that was never a target"
    assert "local/shop/orders: never tested: exception-injection" in said
    page = tmp_path / "page.html"
    assert assay("chaos", "score", "payments", "--output", str(page))[0] == 0
    assert "<svg" in page.read_text()
    assert assay("chaos", "score", "nobody")[0] == 4
    with api.client() as client:
        assert client.get("/chaos/score", params={"weeks": 0}).status_code == 400


def test_an_experiment_that_is_refused_by_newer_rules_hides_no_score_of_the_others(
    assay: Assay, db: Database, history: dict[str, str]
) -> None:
    """A version of ours may refuse what an earlier one has stored and run."""
    older = "UPDATE chaos_experiments SET definition = jsonb_set(definition, '{alpha}', '9') WHERE name = 'killed'"
    assert db.call(lambda conn: conn.execute(text(older))).rowcount == 1

    code, written, _ = assay("chaos", "score", "payments", "--json")

    assert code == 0
    [payments] = json.loads(written)["services"]
    verdicts = {cell["type"]: cell["run"] for cell in payments["cells"] if cell["testedAt"]}
    assert verdicts == {"network-latency": history["slow"]}


def journal(recover: float | None, budget: float) -> dict[str, object]:
    slo = {"slo": "orders placed", "judgement": "met", "timeToRecoverSeconds": recover, "timeToDetectSeconds": None}
    return {
        "verdict": "passed",
        "slos": [slo, {"slo": "of another time", "judgement": "?", "timeToRecoverSeconds": None}],
        "errorBudgets": [{"slo": "orders placed", "spentPercent": budget}],
    }


def test_earlier_runs_are_those_of_the_same_experiment_that_said_something(db: Database) -> None:
    """Aborted ones, other experiments and the run itself are left out; the newest comes first."""
    days = timedelta(days=1)
    week = ended(db, SLOW, Past(ago=7 * days, journal=journal(4.0, 0.1)))
    old = ended(db, SLOW, Past(ago=14 * days))
    halted = ended(db, SLOW, Past(ago=days, end=End.HALTED))
    ended(db, SLOW, Past(end=End.ABORTED))
    ended(db, KILL, Past())
    now = ended(db, SLOW, Past())

    found = db.call(lambda conn: chaos_history.earlier_runs(conn, now, 10))
    results = [earlier_result(row) for row in found]

    assert [row.run_id for row in found] == [halted, week, old]
    assert [one.timed for one in results] == [False, True, False], "a journal of an older version has no times"
    assert [(one.slo, one.recover, one.budget) for one in results[1].slos] == [("orders placed", 4.0, 0.1)]
    assert len(db.call(lambda conn: chaos_history.earlier_runs(conn, now, 2))) == 2


def test_without_any_experiment_it_says_so(assay: Assay) -> None:
    code, _, said = assay("chaos", "score")

    assert code == 0
    assert "no experiment has seen a service yet" in said
