"""What holds for each metrics source: what a query returns, and that no data is never taken for a value."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import prometheus
from harness.prometheus import sample

from cluster.observation.errors import RefusedError
from cluster.observation.metrics import MetricsSource, QueryWindow, Sample
from cluster.observation.prometheus import PrometheusAccess, PrometheusSource

BEGIN = datetime(2026, 11, 29, 12, tzinfo=UTC)
STEP = timedelta(seconds=15)
MINUTE = QueryWindow(start=BEGIN, end=BEGIN + timedelta(minutes=1), step=STEP)


def at(seconds: int) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsSource]:
    if not prometheus.there():
        pytest.skip(prometheus.MISSING)
    folder: Path = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE latency_seconds gauge", "# TYPE odd gauge", "# TYPE shared gauge"]
    lines += [sample("latency_seconds", 0.1 * number, at(15 * number)) for number in range(5)]
    lines += [sample("odd", value, at(15 * number)) for number, value in enumerate(["NaN", "+Inf", 3, "NaN"])]
    lines += [sample(f'shared{{pod="{pod}"}}', 1, at(0)) for pod in ("a", "b")]
    with prometheus.prometheus(folder, lines) as url:
        yield PrometheusSource(PrometheusAccess(url=url))


async def test_a_series_has_one_sample_for_each_point_of_the_window(source: MetricsSource) -> None:
    found = await source.series("latency_seconds", MINUTE)

    assert [(one.at, round(one.value, 6)) for one in found] == [(at(15 * n), round(0.1 * n, 6)) for n in range(5)]
    assert len(found) == MINUTE.points


async def test_what_is_not_a_number_is_left_out_and_what_is_infinite_is_kept(source: MetricsSource) -> None:
    found = await source.series("odd", QueryWindow(start=at(0), end=at(45), step=STEP))

    assert found == (Sample(at=at(15), value=math.inf), Sample(at=at(30), value=3.0))


async def test_no_data_is_an_empty_series_and_no_value(source: MetricsSource) -> None:
    assert await source.series("no_such_metric", MINUTE) == ()
    assert await source.value("no_such_metric") is None
    assert await source.value("0 / 0") is None


async def test_a_scalar_and_a_vector_of_one_are_a_value(source: MetricsSource) -> None:
    scalar, vector = await source.value("42"), await source.value("vector(42)")

    assert scalar is not None
    assert vector is not None
    assert (scalar.value, vector.value) == (42.0, 42.0)
    assert scalar.at > BEGIN


async def test_several_series_are_refused_and_the_message_says_how_to_make_them_one(source: MetricsSource) -> None:
    window = QueryWindow(start=at(0), end=at(0), step=STEP)
    with pytest.raises(RefusedError, match=r"2 series \(.*pod=\"a\".*sum"):
        await source.series("shared", window)

    assert [one.value for one in await source.series("sum(shared)", window)] == [2.0]


async def test_a_query_that_cannot_be_read_is_refused_with_the_reason(source: MetricsSource) -> None:
    with pytest.raises(RefusedError, match=r"mend it.*parse error"):
        await source.value("sum(latency_seconds")


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        (BEGIN.replace(tzinfo=None), BEGIN, STEP, "time zone"),
        (BEGIN + timedelta(milliseconds=1), BEGIN + STEP, STEP, "whole seconds"),
        (BEGIN, BEGIN + STEP, timedelta(milliseconds=1500), "whole seconds"),
        (BEGIN, BEGIN - STEP, STEP, "must not be before"),
        (BEGIN, BEGIN, timedelta(0), "positive"),
        (BEGIN, BEGIN + timedelta(days=1), timedelta(seconds=1), "at most 11,000"),
    ],
)
def test_a_window_that_no_source_can_answer_is_refused(
    start: datetime, end: datetime, step: timedelta, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        QueryWindow(start=start, end=end, step=step)
