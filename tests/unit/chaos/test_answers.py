"""Answers of a load become counts and samples by the moment at which they were asked for."""

from datetime import timedelta
from random import Random

import pytest
from harness.chaos_readings import second

from chaos.answers import AnswerLog, Interval, LoadAnswer, load_counts, load_samples
from chaos.windows import Count

MINUTE = Interval(begins=second(0), ends=second(4.5), step=timedelta(seconds=1))


def answer(at: float, took: float = 0.1, *, good: bool = True) -> LoadAnswer:
    return LoadAnswer(asked_at=second(at), took=timedelta(seconds=took), good=good)


def test_each_answer_counts_in_the_step_in_which_it_was_asked_for() -> None:
    answers = [answer(3.9, 60, good=False), answer(0), answer(0.999), answer(1), answer(-0.1), answer(4.2)]

    counts = load_counts(answers, MINUTE)

    assert [(count.bad, count.total) for count in counts] == [(0, 2), (0, 1), (None, None), (1, 1)]
    assert [count.at for count in counts] == [second(n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(("percentile", "wanted"), [(50, 0.2), (90, 0.4), (1, 0.1), (99.9, 0.4)])
def test_latency_is_that_of_good_answers_nearest_rank(percentile: float, wanted: float) -> None:
    answers = [answer(0.5, took) for took in (0.4, 0.1, 0.3, 0.2)] + [answer(0.5, 9, good=False)]

    samples = load_samples(answers, MINUTE, percentile)

    assert [sample.value for sample in samples] == [wanted, None, None, None]


def test_a_second_in_which_all_fail_has_no_latency() -> None:
    samples = load_samples([answer(0, good=False)], MINUTE, 90)

    assert not samples[0].present


def test_a_log_has_the_same_readings_as_a_list_in_any_order() -> None:
    chance = Random(7)
    listed = [
        LoadAnswer(
            asked_at=second(0) + timedelta(milliseconds=chance.randrange(20_000)),
            took=timedelta(milliseconds=chance.randrange(900)),
            good=chance.random() < 0.9,
        )
        for _ in range(2000)
    ]
    log = AnswerLog()
    for answer in listed:
        log.add(answer)

    assert len(log) == len(listed)
    assert log[0].asked_at == min(answer.asked_at for answer in listed)
    for begins, seconds in ((0, 20), (3, 5), (19, 5), (30, 5)):
        part = Interval(
            begins=second(0) + timedelta(seconds=begins),
            ends=second(0) + timedelta(seconds=begins + seconds),
            step=timedelta(seconds=1),
        )
        assert load_counts(log, part) == load_counts(listed, part)
        assert load_samples(log, part, 90) == load_samples(listed, part, 90)


def test_a_step_of_a_long_load_is_read_without_looking_at_the_rest() -> None:
    """The limits look each second: an hour of 500 requests a second must not keep the worker from its heartbeats."""
    log = AnswerLog()
    for number in range(200_000):
        log.add(LoadAnswer(asked_at=second(0) + timedelta(milliseconds=2 * number), took=timedelta(0), good=True))
    part = Interval(
        begins=second(0) + timedelta(seconds=390), ends=second(0) + timedelta(seconds=391), step=timedelta(seconds=1)
    )

    assert len(log.between(part.begins, part.ends)) == 500
    assert load_counts(log, part) == [Count(at=part.ends, bad=0, total=500)]
