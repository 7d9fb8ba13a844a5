"""The report of an experiment: one HTML file that holds everything, and JSON."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from harness.chaos_readings import NOON
from harness.journals import journal

from chaos.comparison import Result, SloResult, compare
from chaos.experiment_reading import check_experiment
from chaos.judge import Judgement
from chaos.windows import Window
from model.json_values import json_list, json_object
from reports.experiment import experiment_html, journal_json
from reports.experiment_markdown import experiment_markdown
from reports.experiment_svg import experiment_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_the_report_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    page = experiment_html(journal())

    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
    assert "default-src 'none'" in page


def test_the_report_has_the_verdict_the_reasons_and_the_decision() -> None:
    page = experiment_html(journal())

    for word in ("not met", "exit code 1", "became worse by", "A/A check passed", "onCall", "delayed: 1204", "orders"):
        assert word in page


def test_all_reports_have_what_was_planned_and_spent_of_each_error_budget() -> None:
    page, text, data = experiment_html(journal()), experiment_markdown(journal()), journal_json(journal())

    [budget] = json_list(data["errorBudgets"])
    assert json_object(budget)["plannedPercent"] == pytest.approx(10 * 100 * 120 / 2_592_000)
    assert json_object(budget)["spentPercent"] == pytest.approx(100 * (2 / 1800) / 0.01 * 92 / 2_592_000, rel=0.01)
    for words in ("up to 0.046%", "0.5%"):
        assert words in page
    assert "planned at most" in text


def test_the_summary_for_prefect_has_the_verdict_each_part_and_each_fault() -> None:
    text = experiment_markdown(journal())

    for word in ("not met", "exit code 1", "became worse by", "onCall", "delayed: 1204", "assay chaos report"):
        assert word in text
    assert "## Faults" in text
    assert "No fault was injected" in experiment_markdown(replace(journal(), faults=()))


def test_all_reports_say_what_changed_since_the_last_run() -> None:
    written = journal()
    slow = SloResult(slo="latency", judgement=Judgement.MET, recover=30.0)
    now = Result(run="now", ended_at=NOON, word="passed", validated=True, timed=True, slos=(slow,))
    before = replace(now, run="run-<1>", slos=(replace(slow, recover=4.0),))
    comparison = compare(now, written.experiment.hypothesis.slos, timedelta(seconds=60), [before])
    compared = replace(written, comparison=comparison)
    page, text, data = experiment_html(compared), experiment_markdown(compared), journal_json(compared)

    for words in ("slower recovery of latency: 30.0 s, and 4.0 s the last time", "Compared with the last run"):
        assert words in page
        assert words in text
    assert "run-&lt;1&gt;" in page
    said = json_object(data["comparison"])
    assert [json_object(one)["change"] for one in json_list(said["differences"])] == ["the same", "the same", "worse"]
    assert journal_json(written)["comparison"] is None
    assert "Compared with" not in experiment_html(written)


def test_what_a_stranger_wrote_stays_text() -> None:
    hostile = journal('<img src=x onerror=alert(1)> & "quotes" <script>alert(2)</script>')

    page, picture = experiment_html(hostile), experiment_svg(hostile)

    assert "<img" not in experiment_markdown(hostile)
    assert "<img" not in page
    assert "<script" not in page
    ET.fromstring(picture)  # noqa: S314  our own


def test_the_picture_has_phases_readings_limits_and_events() -> None:
    root = ET.fromstring(experiment_svg(journal()))  # noqa: S314  our own
    kinds = [str(element.get("class")).split()[0] for element in root.iter() if element.get("class")]

    assert len([kind for kind in kinds if kind in {"p0", "p1"}]) == 9
    assert kinds.count("dot") == 2 * 150 - 3
    assert kinds.count("bad") == 3
    assert (kinds.count("allowed"), kinds.count("limit")) == (2, 1)
    assert kinds.count("e-fault") + kinds.count("e-limit") == 3
    assert kinds.count("fault-area") == 1


def test_everything_is_inside_of_the_picture() -> None:
    root = ET.fromstring(experiment_svg(journal()))  # noqa: S314  our own
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    for element in root.iter():
        for key, most in (("x", width), ("cx", width), ("x1", width), ("y", height), ("cy", height), ("y2", height)):
            if key in element.attrib:
                assert 0 <= float(element.attrib[key]) <= most


def test_an_experiment_that_ended_before_its_first_reading_has_a_report() -> None:
    early = replace(
        journal(), phases=(), events=(), readings={}, slos=(), health=(), times=(), faults=(), resolution=None
    )

    assert "None was injected" in experiment_html(early)
    assert experiment_svg(replace(early, ended_at=early.started_at))


def test_the_journal_is_json_and_holds_the_experiment() -> None:
    written = journal()

    read = json.loads(json.dumps(journal_json(written), allow_nan=False))

    assert check_experiment(read["experiment"]) == written.experiment
    assert read["hypothesisValidated"] is False
    assert len(read["readings"]["latency"]["samples"][Window.FAULT]) == 60
    assert read["readings"]["latency"]["samples"]["fault"][20]["value"] is None
    assert [slo["judgement"] for slo in read["slos"]] == ["met", "not met"]
