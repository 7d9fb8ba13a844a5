"""Requests generated from the OpenAPI document: no response is a server error, and each one is documented."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from harness.rest import KEY, Api
from harness.sweep import ALL

pytestmark = pytest.mark.faults
"""Hostile input, for a minute: it would be a tenth of `make test`."""
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "allow_header_conformance", "ignored_auth",
)  # fmt: skip
EXAMPLES = "10" if ALL else "2"
"""How many requests are generated at random for each operation, besides those of the bounds of each value."""
FUZZER = Path(sys.prefix) / "fuzz"
"""`make setup-dev` puts it there: among the other packages each pytest would load its plugin."""
NOT_ASKED = "logs|content"
"""Log streams do not end and packed folders are not JSON, so both have their own tests."""


def test_generated_requests_are_answered_as_the_document_says(api: Api, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"  # schemathesis itself waits for it for 10 s only, however slow the machine is
    document.write_bytes(httpx.get(f"{api.url}/openapi.json", timeout=120, trust_env=False).raise_for_status().content)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", api.url, "--request-timeout", "60",
        "--header", f"Authorization: Bearer {KEY}", "--checks", ",".join(CHECKS), "--exclude-path-regex", NOT_ASKED,
        "--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--generation-deterministic", "--no-color",
    ]  # fmt: skip

    surroundings = {**os.environ, "NO_PROXY": "*", "PYTHONPATH": str(FUZZER)}
    found = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=900)

    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    assert " passed" in found.stdout
