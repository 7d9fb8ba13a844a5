"""The worker process. The main thread receives the signals, and a second thread runs the event loop.

If the loop were in the main thread, Prefect's engine would raise a SIGTERM inside of the flow that runs at the moment.
Here a SIGTERM means: take no more runs, leave the tests running, give up the leases, and end. The next worker goes on.
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
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # it costs a thread for each flow; our leases show who is alive
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False,  # a worker must start while Prefect is away, too
}

log = logging.getLogger("assay.worker")


def main() -> int:
    """Work until SIGTERM or SIGINT. Returns: 0 after a signal, 3 if the loop ended by itself."""
    os.umask(0o077)  # for the worker's files; content and tests get the usual umask
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
    os._exit(work.status)  # no flow is unwound: the next worker goes on with each as it is


class Work:
    """The worker's loop, in its own thread."""

    def __init__(self, settings: Settings) -> None:
        self.status = 0
        self._settings = settings
        self._worker: AssayWorker | None = None

    def run(self, stop: threading.Event) -> None:
        """Run the worker. If it ends by itself, log that and end the process."""
        try:
            with temporary_settings(SETTINGS):
                asyncio.run(self._main())
        except BaseException:
            log.exception("the worker's loop ended")
            self.status = 3
        finally:
            stop.set()

    def leave(self) -> None:
        """Take no more runs, and sign off."""
        if self._worker is not None:
            self._worker.drain()
            self._worker.leave()

    async def _main(self) -> None:
        settings = self._settings
        self._worker = AssayWorker(
            work_pool_name=WORK_POOL,
            name=settings.worker,
            limit=settings.prefect_limit,
            prefetch_seconds=0,  # a start takes no time, and a run that is not taken yet cannot be lost
        )
        await self._worker.start(printer=log.info)


if __name__ == "__main__":
    sys.exit(main())
