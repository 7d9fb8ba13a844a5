"""The settings of the API process, read once at its start from environment variables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from model.environment import EnvironmentSettings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SHORTEST_KEY = 20
"""Characters; the key that `assay up` makes has 49."""
KEY_FILE = "api-key"


def _hosts(value: object) -> object:
    """Return a list with commas as the guard compares host names; those of the loopback address always count."""
    if not isinstance(value, str):
        return value
    return (*LOOPBACK_HOSTS, *(name.strip().lower() for name in value.split(",") if name.strip()))


def _long_enough(key: str) -> str:
    """Refuse a key that keeps nobody out."""
    if len(key) >= SHORTEST_KEY:
        return key
    msg = (
        f"the API key has {len(key)} characters, but needs at least {SHORTEST_KEY}: remove the key file "
        "(`api-key` in the state folder), and `assay up` makes a new one"
    )
    raise ValueError(msg)


class Settings(EnvironmentSettings):
    """Settings of the API. The fields without a variable are set in code only: sizes in bytes, times in seconds."""

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        repr=False,
        description="the PostgreSQL with our tables: `postgresql://user:password@host/name`",
    )
    state: Path = Field(
        validation_alias="ASSAY_STATE",
        description="the folder with runs, logs, artifacts, sent content and virtual environments",
    )
    key_file: Path | None = Field(
        None,
        validation_alias="ASSAY_API_KEY_FILE",
        description=f"the file with the one key of this installation, at least {SHORTEST_KEY} characters. It is a "
        "file because every process that inherits a variable can read it",
    )
    api_key: Annotated[str, AfterValidator(_long_enough)] = Field(
        "", validate_default=True, repr=False, description="the key itself, read from `key_file` unless it is given"
    )
    host: str = Field(
        "127.0.0.1",
        validation_alias="ASSAY_API_HOST",
        description="the address to listen on. Another one than the loopback address opens the API to the network",
    )
    port: int = Field(8000, ge=0, le=65535, validation_alias="ASSAY_API_PORT", description="the port to listen on")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)] = Field(
        LOOPBACK_HOSTS,
        validation_alias="ASSAY_API_ALLOWED_HOSTS",
        description="more names that a Host header may carry besides those of the loopback address, separated by "
        "commas. Any other name is refused, since it could be DNS rebinding (D19)",
    )
    body_limit: int = Field(8 * 2**20, description="of a JSON body: several tests with 1 MiB of inline files each")
    content_limit: int = Field(50 * 2**20, description="of a packed folder, as docs/limits.md says")
    heartbeat: float = Field(15.0, description="between two heartbeats on a log stream that has nothing to send")
    log_poll: float = Field(0.25, description="between two reads of a log that is followed")
    pool_size: int = Field(8, description="database connections; each one costs the server memory")

    @field_validator("api_key", mode="before")
    @classmethod
    def _from_file(cls, key: object, known: ValidationInfo) -> object:
        """Read the key from its file where no key is given."""
        if key != "":
            return key
        file: Path | None = known.data.get("key_file")
        if file is None and "state" not in known.data:
            msg = "needs ASSAY_API_KEY_FILE, or ASSAY_STATE for the key file in that folder"
            raise ValueError(msg)
        file = file or known.data["state"] / KEY_FILE
        try:
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{file} cannot be read ({error}): name another key file with ASSAY_API_KEY_FILE"
            raise ValueError(msg) from error


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings of the API (docs/settings.md). Raises: InvalidError with every problem."""
    return Settings.read(environment)
