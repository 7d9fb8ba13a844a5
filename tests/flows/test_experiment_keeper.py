"""What is asked again under a fault: who cannot answer stops the experiment."""

from collections.abc import Sequence

from db.errors import UnavailableError
from flows.experiment.keeper import fail_closed


async def answering(reasons: Sequence[str] = (), error: Exception | None = None) -> Sequence[str]:
    if error is not None:
        raise error
    return reasons


async def test_an_answer_is_taken_as_it_is() -> None:
    assert await fail_closed("the rules", answering(["closed"])) == ["closed"]
    assert await fail_closed("the rules", answering()) == ()


async def test_an_error_is_a_reason_to_stop_that_says_what_failed() -> None:
    [reason] = await fail_closed("the rules", answering(error=KeyError("team")))

    assert reason == "the rules cannot be asked (KeyError: 'team'): see the log of the worker"


async def test_a_database_that_is_away_is_left_to_its_own_patience() -> None:
    assert await fail_closed("the rules", answering(error=UnavailableError("away"))) == ()
