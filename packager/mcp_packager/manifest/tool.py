"""``[tool]``: what the tool is. Nothing here differs by stage but ``project``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mcp_packager.manifest.section import IN_BUNDLE, Many, Section
from mcp_packager.manifest.words import EntryPoint, Line, Name, RelativePath, Text, Word

_RELEASE = r"(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){0,5}"
_BOUND = rf"(?:(?:[<>]=?|[=!]=) ?{_RELEASE}|~= ?{_RELEASE}\.0|~= ?{_RELEASE}\.[1-9]\d{{0,8}})"
_BOUNDS = rf"{_BOUND}(?: ?, ?{_BOUND})*"
_PLAIN_VERSION = re.compile(_RELEASE, re.ASCII)
_PLAIN_SPECIFIER = re.compile(_BOUNDS, re.ASCII)
_PLAIN_REQUIREMENT = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?: ?{_BOUNDS})?", re.ASCII)
"""What nearly everybody writes is sound without `packaging`, whose import takes as long as all of the sections."""

DEFAULT_VERSION = "0.1.0"
DEFAULT_PYTHON = ">=3.11"


def _version(text: str) -> str:
    if _PLAIN_VERSION.fullmatch(text):
        return text
    from packaging.version import InvalidVersion, Version  # 11 ms that most commands need not pay

    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or version.epoch or version.local:
        raise PydanticCustomError(
            "version",
            "is not a version",
            {
                "expected": "a version such as 1.2.0 or 2.0.0rc1 (PEP 440, without epoch and local part)",
                "fix": "Write it as MAJOR.MINOR.PATCH",
            },
        )
    return str(version)


def _specifier(text: str) -> str:
    if _PLAIN_SPECIFIER.fullmatch(text):
        return text
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 30 ms that few files need

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise PydanticCustomError(
            "specifier",
            "is not a version requirement",
            {"expected": 'a requirement such as ">=3.11" or ">=0.1,<1"', "fix": "Put an operator before each version"},
        ) from None
    return text


def _requirement(text: str) -> str:
    if _PLAIN_REQUIREMENT.fullmatch(text):
        return text
    from packaging.requirements import InvalidRequirement, Requirement  # 40 ms that few files need

    try:
        Requirement(text)
    except InvalidRequirement:
        raise PydanticCustomError(
            "requirement",
            "is not a dependency",
            {"expected": 'a dependency such as "httpx>=0.28" (PEP 508)', "fix": "Write name, then version requirement"},
        ) from None
    return text


Version = Annotated[Word, AfterValidator(_version)]
Requirement = Annotated[Word, AfterValidator(_requirement)]
VersionRequirement = Annotated[Word, AfterValidator(_specifier)]


class Allow(Section):
    """``[[tool.allow]]``: a file that looks like a secret and is meant to be in the artifact."""

    path: RelativePath = Field(description="Path or pattern of the file, relative to the project")
    reason: Word = Field(description="Why it may be in every artifact")


class Tool(Section):
    """``[tool]``: name, version, code and dependencies."""

    name: Name = Field(
        description="Name of the tool, of what is made for it on every platform, and of the server",
        json_schema_extra=IN_BUNDLE,
    )
    version: Version = Field(
        DEFAULT_VERSION,
        description="Version of the tool (PEP 440); pyproject.toml's where it has one",
        json_schema_extra=IN_BUNDLE,
    )
    description: Text = Field(
        "",
        description="What the tool is for, in a sentence; pyproject.toml's where it has one",
        json_schema_extra=IN_BUNDLE,
    )
    entrypoint: EntryPoint = Field(
        description="Module with the decorated functions, or module:object of an existing MCP server",
        json_schema_extra=IN_BUNDLE,
    )
    title: Line = Field(
        "", description="Name of the server for people; the name where empty", json_schema_extra=IN_BUNDLE
    )
    instructions: Text = Field(
        "",
        description="How the tools are best used together; clients get it with the server",
        json_schema_extra=IN_BUNDLE,
    )
    project: Name | None = Field(None, description="Project that owns what is deployed; the tool's name by default")
    python: VersionRequirement = Field(
        DEFAULT_PYTHON,
        description="Python versions the code runs on; pyproject.toml's requires-python where it has one",
        json_schema_extra=IN_BUNDLE,
    )
    requires: VersionRequirement | None = Field(None, description="Versions of mcp-pack that may build this")
    include: Many[RelativePath] = Field(
        (), description="Patterns of files to take although git ignores them", json_schema_extra=IN_BUNDLE
    )
    exclude: Many[RelativePath] = Field((), description="Patterns of files to leave out", json_schema_extra=IN_BUNDLE)
    dependencies: Many[Requirement] = Field(
        (), description="Dependencies, where there is no pyproject.toml", json_schema_extra=IN_BUNDLE
    )
    bytecode: bool = Field(
        default=True, description="Whether artifacts carry compiled bytecode", json_schema_extra=IN_BUNDLE
    )
    allow: Many[Allow] = Field(
        (), description="Files that look like secrets and are meant to be there", json_schema_extra=IN_BUNDLE
    )

    @property
    def project_id(self) -> str:
        """The project that owns what is deployed."""
        return self.project or self.name
