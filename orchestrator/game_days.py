"""Earlier executions of an experiment, read from their journals: what a game day is compared with."""

from chaos.comparison import Result, SloResult
from chaos.judge import Judgement
from chaos.verdict import End
from db.chaos_history import EarlierRun
from model.lenient import text

RECOVERED = "timeToRecoverSeconds"
"""A journal of an older version has no times: then only verdicts are compared."""


def earlier_result(row: EarlierRun) -> Result:
    """Return what an earlier execution has found."""
    budgets = {text(one.get("slo")): _number(one.get("spentPercent")) for one in row.budgets}
    slos = tuple(
        SloResult(
            slo=text(one.get("slo")),
            judgement=Judgement(text(one.get("judgement"))),
            detect=_number(one.get("timeToDetectSeconds")),
            recover=_number(one.get(RECOVERED)),
            budget=budgets.get(text(one.get("slo"))),
        )
        for one in row.slos
        if one.get("judgement") in set(Judgement)
    )
    timed = row.ending == End.JUDGED and bool(row.slos) and all(RECOVERED in one for one in row.slos)
    return Result(
        run=str(row.run_id), ended_at=row.ended_at, word=row.word, validated=row.validated, timed=timed, slos=slos
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
