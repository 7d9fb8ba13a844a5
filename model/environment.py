"""Settings that a process reads from environment variables, checked as a whole.

The base class for the settings of each process. Which variables there are, and what they mean, is said by the fields.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from model.problems import InvalidError, Problem
from model.wording import in_words


class EnvironmentSettings(BaseSettings):
    """Settings whose fields name their variable as `validation_alias`; a field without one is set in code only.

    A value that is made in code takes nothing from the environment; only `read` does.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", case_sensitive=True, validate_by_name=True, validate_by_alias=True
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from variables. Raises: InvalidError with every problem; the path names the variable."""
        try:
            return cls.model_validate(_Variables(cls, environment)())
        except ValidationError as error:
            raise InvalidError(
                Problem(path=str(one["loc"][0]), message=in_words(one))
                for one in error.errors(include_url=False, include_input=False)
            ) from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the base class's signature
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use what the caller gives, and nothing else."""
        return (init_settings,)


class _Variables(EnvSettingsSource):
    """Reads a given mapping, and of it only the variables that fields name; an empty value counts as not set."""

    def __init__(self, kind: type[EnvironmentSettings], environment: Mapping[str, str]) -> None:
        super().__init__(kind)
        named = (field.validation_alias for field in kind.model_fields.values())
        self.env_vars = {name: environment[name] for name in named if isinstance(name, str) and environment.get(name)}
