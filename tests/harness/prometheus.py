"""A real Prometheus on loopback, whose data are written before it starts: what a query must return is then known."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from harness.monitoring_servers import free_port, until_ready

MISSING = "needs Prometheus with promtool. Debian and Ubuntu: apt-get install --no-install-recommends prometheus"


def there() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def sample(series: str, value: float | str, at: datetime) -> str:
    """Return a line of the OpenMetrics format."""
    return f"{series} {value} {int(at.timestamp())}"


@contextmanager
def prometheus(folder: Path, samples: Sequence[str]) -> Iterator[str]:
    """Run a Prometheus that holds these samples; yield its address."""
    blocks = folder / "blocks"
    text = folder / "samples.txt"
    text.write_text("\n".join([*samples, "# EOF", ""]), encoding="utf-8")
    _run("promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks))
    with _running(folder, "global: {scrape_interval: 1h}\n", blocks) as url:
        yield url


@contextmanager
def scraping(folder: Path, targets: Mapping[str, str]) -> Iterator[str]:
    """Run a Prometheus that scrapes each of `targets`, `host:port` by job, once a second; yield its address."""
    jobs = [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()]
    settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    with _running(folder, json.dumps(settings), folder / "blocks") as url:
        yield url


@contextmanager
def _running(folder: Path, settings: str, blocks: Path) -> Iterator[str]:
    file = folder / "prometheus.yml"
    file.write_text(settings, encoding="utf-8")
    port = free_port()
    command = [
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={blocks}",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until_ready(f"http://127.0.0.1:{port}", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _run(*command: str) -> None:
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
