"""Settings of the API process, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SHORTEST_KEY = 20
"""Characters; what `assay up` makes has 49."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the API needs to know. Sizes in bytes, times in seconds.

    `database_url`   PostgreSQL, as SQLAlchemy writes it.
    `state`          the folder with runs, logs, artifacts and sent content.
    `api_key`        the one key of this installation, as a Bearer token; read from a file only its owner can read.
    `allowed_hosts`  names that a Host header may carry; anything else could be DNS rebinding.
    `body_limit`     of a JSON body: 1 MiB of inline files a test, some tests a suite.
    `content_limit`  of a packed folder, as docs/limits.md says.
    `heartbeat`      between two signs of life on a quiet log stream.
    `log_poll`       between two looks at a log that is followed.
    `pool_size`      database connections; each costs the server some memory.
    """

    database_url: str
    state: Path
    api_key: str
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS
    body_limit: int = 8 * 2**20
    content_limit: int = 50 * 2**20
    heartbeat: float = 15.0
    log_poll: float = 0.25
    pool_size: int = 8

    def __post_init__(self) -> None:
        if len(self.api_key) < SHORTEST_KEY:
            msg = (
                f"the API key has {len(self.api_key)} characters, and needs {SHORTEST_KEY} at least: whoever set this "
                "up removes the key file (`api-key` in the state folder), and `assay up` makes a new one"
            )
            raise ValueError(msg)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings that `assay up` hands over.

    Raises: KeyError or OSError naming what is missing; ValueError for a key that is too short to keep anybody out.
    """
    state = Path(environment["ASSAY_STATE"])
    key_file = Path(environment.get("ASSAY_API_KEY_FILE") or state / "api-key")
    host = environment.get("ASSAY_API_HOST", "127.0.0.1")
    return Settings(
        database_url=environment["DATABASE_URL"],
        state=state,
        api_key=key_file.read_text().strip(),
        host=host,
        port=int(environment.get("ASSAY_API_PORT", "8000")),
        allowed_hosts=(*LOOPBACK_HOSTS, *_hosts(environment.get("ASSAY_API_ALLOWED_HOSTS", ""))),
    )


def _hosts(text: str) -> list[str]:
    """Return the names of a list with commas as the guard compares them."""
    return [name.strip().lower() for name in text.split(",") if name.strip()]
