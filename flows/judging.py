"""What became of an attempt, from its ending and the files that it left. All of it blocks: call it from a thread."""

import logging
from dataclasses import replace

from cluster.backend import Spooled
from executors.last_words import last_words
from executors.registry import tool_for
from model.ending import Ending, How
from model.final_results import final_results
from model.ids import ExecutionId
from model.mask import Mask
from model.ports import Artifacts
from model.quantity import bytes_text
from model.result import Artifact
from model.verdict import has_report, judge, whole_result
from orchestrator.lifecycle import Begun, Finished

log = logging.getLogger("assay.steps")


def judged(begun: Begun, ending: Ending, spooled: Spooled, mask: Mask, artifacts: Artifacts) -> Finished:
    """Read the report, judge the attempt, and keep its artifacts; secrets are masked in all of it."""
    tool = tool_for(begun.request.type)
    report = tool.read(begun.request, spooled.results)
    verdict = judge(report, _explained(ending, begun, spooled), tool.verdict)
    verdict = replace(verdict, detail=mask.text(verdict.detail))
    milliseconds = round(1000 * ending.used.seconds) if ending.used else 0
    results = (
        final_results(report, verdict) if has_report(report) else (whole_result(begun.name, verdict, milliseconds),)
    )
    return Finished(
        number=begun.number,
        verdict=verdict,
        exit_code=ending.exit_code,
        results=tuple(result.with_texts(mask.text) if mask else result for result in results),
        planned=report.planned,
        tools=tuple((mask.text(name), mask.text(version)) for name, version in report.tools),
        artifacts=_kept(begun.grant.execution_id, begun.number, spooled, mask, artifacts),
        metrics=figures(ending),
    )


def figures(ending: Ending) -> tuple[tuple[str, float], ...]:
    """Return what an attempt used, by name."""
    if ending.used is None:
        return ()
    return (
        ("cpu_seconds", ending.used.cpu_seconds),
        ("duration_seconds", ending.used.seconds),
        ("peak_cpu_milli", ending.used.peak_cpu_milli),
        ("peak_memory_bytes", ending.used.peak_memory_bytes),
    )


def _explained(ending: Ending, begun: Begun, spooled: Spooled) -> Ending:
    """Add what a tool that gave up said last, and to the end by a memory limit the limit and the use."""
    if ending.how is How.OOM:
        return replace(ending, detail=", ".join(filter(None, (_memory(ending, begun), ending.detail))))
    if ending.how is not How.EXITED or not ending.exit_code:
        return ending
    return replace(ending, detail=last_words(spooled.output))


def _memory(ending: Ending, begun: Begun) -> str:
    limit = begun.request.resources.memory_limit
    known = f"the limit is {limit}" if limit else "the request has no memoryLimit, so its node ran out"
    if ending.used is None:
        return known
    return f"{known}, and {bytes_text(ending.used.peak_memory_bytes)} were in use at the last look"


def _kept(
    execution_id: ExecutionId, number: int, spooled: Spooled, mask: Mask, artifacts: Artifacts
) -> tuple[Artifact, ...]:
    """Keep what the run left; a disk that is full costs the artifacts, not the verdict."""
    try:
        return tuple(artifacts.keep(execution_id, number, spooled.results, mask))
    except OSError as failed:
        log.warning("run %s: its artifacts could not be kept: %s", execution_id, failed)
        return ()
