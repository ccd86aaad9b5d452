"""Settings: what the manifest's `[env]` and `[secrets]` hold, as a pydantic model of the author's.

    class Limits(Settings):
        api_key: SecretStr
        page_size: int = 20

    @tool
    def search(query: str, limits: Limits) -> list[str]: ...

A field is filled from the variable of its name in upper case (`API_KEY`), or of its alias as it stands. A secret that
arrives as a file is read; a field of type `Path` gets the file's path instead.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from mcp_tool.errors import SettingsError
from mcp_tool.schema.signature import arms

S = TypeVar("S", bound=BaseModel)


class Settings(BaseModel):
    """Base of an author's settings: frozen, built once when the server starts, handed to parameters of its type."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


def build(model: type[S], values: "Values") -> S:
    """Fill a settings model.

    Raises:
        SettingsError: Values are missing or do not fit; names them all, shows none.
    """
    found: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field, info in model.model_fields.items():
        name = variable(field, info)
        value = values.path(name) if _wants_path(info) else None
        value = values.text(name) if value is None else value
        if value is not None:
            found[info.validation_alias if isinstance(info.validation_alias, str) else field] = value
        elif info.is_required():
            wrong[name] = f"missing; {values.how(name)}"
    if wrong:
        raise SettingsError(wrong)
    try:
        return model.model_validate(_parsed(model, found), by_alias=True, by_name=True)
    except ValidationError as error:
        # The reasons are pydantic's own words, chosen without the input; a validator of the author's may quote it.
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            name = _named(model, detail["loc"])
            reason = "does not pass its validator" if detail["type"] in _AUTHORED else detail["msg"]
            wrong[name] = f"{reason}; {values.how(name)}"
        raise SettingsError(wrong) from None


class Values:
    """Where settings come from: the environment, and secrets by environment variable or file.

    Args:
        env: The process's environment.
        secrets: By name: `{"env": NAME}` or `{"file": path}`, as in `config.json`.
        declared: Names of the manifest's secrets, for the words of an error.
    """

    def __init__(
        self, env: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]], declared: frozenset[str] = frozenset()
    ) -> None:
        self._env = env
        self._secrets = secrets
        self._declared = declared | frozenset(secrets)

    def path(self, name: str) -> str | None:
        """The file a secret stands in, if it does."""
        return self._secrets.get(name, {}).get("file") or self._env.get(f"{name}_FILE")

    def text(self, name: str) -> str | None:
        """A value by its name, one trailing newline of a file removed; None where there is none."""
        source = self._secrets.get(name, {})
        direct = self._env.get(source.get("env", name))
        if direct is not None and "file" not in source:
            return direct
        file = self.path(name)
        if file is None:
            return direct
        try:
            return Path(file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeError):
            return None

    def secret_texts(self) -> tuple[str, ...]:
        """The content of every secret, for removing it from texts that leave the process."""
        found = (self.text(name) for name in sorted(self._declared))
        return tuple(text for text in found if text)

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Which of some secrets the manifest declares and nobody set."""
        return tuple(name for name in names if name in self._declared and self.text(name) is None)

    def how(self, name: str) -> str:
        """How to set a value, for an error."""
        if name in self._declared:
            return f"set the environment variable {name}, or name another source in [secrets.{name}] of mcp-tool.toml"
        return f"set {name} in [env] of mcp-tool.toml, or declare [secrets.{name}]"


_AUTHORED = ("value_error", "assertion_error")


def variable(field: str, info: FieldInfo) -> str:
    """The variable a field is filled from."""
    alias = info.validation_alias
    return alias if isinstance(alias, str) else field.upper()


def _named(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    for field, info in model.model_fields.items():
        if location and location[0] in {field, info.validation_alias}:
            return variable(field, info)
    return ".".join(map(str, location)) or model.__name__


def _wants_path(info: FieldInfo) -> bool:
    return any(isinstance(kind, type) and issubclass(kind, Path) for kind in arms(info.annotation))


def _parsed(model: type[BaseModel], found: Mapping[str, Any]) -> dict[str, Any]:
    """Lists, mappings and models may be written as JSON in a variable."""
    parsed = dict(found)
    for field, info in model.model_fields.items():
        key = info.validation_alias if isinstance(info.validation_alias, str) else field
        text = parsed.get(key)
        if isinstance(text, str) and text[:1] in ("[", "{") and not _takes_text(info.annotation):
            try:
                parsed[key] = json.loads(text)
            except ValueError:
                continue
    return parsed


def _takes_text(annotation: Any) -> bool:
    return any(kind in (str, bytes, SecretStr, SecretBytes, Any) for kind in arms(annotation))
