"""The worker process. The main thread takes the signals, a second one runs the loop.

Prefect's engine would raise a SIGTERM into whatever flow happens to run, were its loop in the main thread. Here SIGTERM
means: take nothing more, leave the tests running, give the leases up, end. The next worker goes on.
"""

import asyncio
import logging
import os
import signal
import sys
import threading

from prefect.settings import (
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from flows.settings import WORK_POOL, Settings, from_environment
from flows.worker import AssayWorker
from model.problems import InvalidError

SETTINGS = {
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # a thread a flow; our leases say who lives
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False,  # a worker starts also while Prefect is away
}

log = logging.getLogger("assay.worker")


def main() -> int:
    """Work until SIGTERM or SIGINT. Returns: 0 after a signal, 3 when the loop ended by itself."""
    os.umask(0o077)  # of what the worker stores; content and tests get the usual one
    try:
        settings = from_environment()
    except InvalidError as error:
        sys.exit(f"the worker cannot start: {error}")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work = Work(settings)
    loop = threading.Thread(target=work.run, args=(stop,), name="assay-loop", daemon=True)
    loop.start()
    stop.wait()
    work.leave()
    logging.shutdown()
    os._exit(work.status)  # the flows under way are not unwound: the next worker takes them up as they are


class Work:
    """The worker's loop, in its own thread."""

    def __init__(self, settings: Settings) -> None:
        self.status = 0
        self._settings = settings
        self._worker: AssayWorker | None = None

    def run(self, stop: threading.Event) -> None:
        """Run the worker; when it ends by itself, say so and end the process."""
        try:
            with temporary_settings(SETTINGS):
                asyncio.run(self._main())
        except BaseException:
            log.exception("the worker's loop ended")
            self.status = 3
        finally:
            stop.set()

    def leave(self) -> None:
        """Drain and sign off."""
        if self._worker is not None:
            self._worker.drain()
            self._worker.leave()

    async def _main(self) -> None:
        settings = self._settings
        self._worker = AssayWorker(
            work_pool_name=WORK_POOL,
            name=settings.worker,
            limit=settings.prefect_limit,
            prefetch_seconds=0,  # starting a flow takes no time here, and what is not taken yet is not lost with us
        )
        await self._worker.start(printer=log.info)


if __name__ == "__main__":
    sys.exit(main())
