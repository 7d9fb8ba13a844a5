"""How `events.run` ends and what it leaves: known to whoever starts it, without loading the framework."""

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_AWAY = 3
"""The broker, or the service that triggers the test, does not answer. Another attempt may succeed."""
EXIT_WRONG = 4
"""The file is wrong, or asks for what its broker does not have: a person must change it."""
EXIT_UNKNOWN = 7
"""No assertion failed, but one is inconclusive or vacuous."""

JUNIT = "junit.xml"
PAGE = "report.html"
RECORDING = "events.jsonl"
"""Left by a test that did not pass: `assay events replay` judges it again."""
