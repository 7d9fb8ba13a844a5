"""Counts requests, and writes the counts in the text format of Prometheus."""

from collections import Counter
from threading import Lock

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by method and status, and how long they took."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.buckets: Counter[float] = Counter()
        self.seconds = 0.0

    def count(self, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self.lock:
            self.requests[method, status] += 1
            self.seconds += seconds
            for bound in BUCKETS:
                self.buckets[bound] += seconds <= bound

    def text(self) -> str:
        """Return all counts."""
        with self.lock:
            total = self.requests.total()
            lines = ["# HELP shop_requests_total Requests that were answered.", "# TYPE shop_requests_total counter"]
            lines += [
                f'shop_requests_total{{method="{method}",status="{status}"}} {number}'
                for (method, status), number in sorted(self.requests.items())
            ]
            lines += ["# HELP shop_request_seconds Time until the answer.", "# TYPE shop_request_seconds histogram"]
            lines += [f'shop_request_seconds_bucket{{le="{bound}"}} {self.buckets[bound]}' for bound in BUCKETS]
            lines += [f'shop_request_seconds_bucket{{le="+Inf"}} {total}']
            lines += [f"shop_request_seconds_sum {self.seconds:.6f}", f"shop_request_seconds_count {total}", ""]
            return "\n".join(lines)
