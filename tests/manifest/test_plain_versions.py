"""What is taken without `packaging` is what `packaging` takes, in the same words."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from mcp_packager.manifest import tool

_VERSIONS = ("0", "1", "1.0", "10.20.3", "0.0.1", "1.2.3.4.5.6")
_BOUNDS = (">=3.11", "<2", ">1.0", "<=4", "==1.2.0", "!=3", "~=1.0", "~=1.2.3", ">=0.1,<1", ">= 2, < 3 ,!=2.5")
_LEFT = ("~=1", "1.0", "=1", "<<1", ">=1.0,", "~=01", "==1.*", "===1", ">=1.0a1", "")


@pytest.mark.parametrize("text", _VERSIONS)
def test_a_plain_version_is_its_own_normal_form(text: str) -> None:
    assert tool._PLAIN_VERSION.fullmatch(text)
    assert str(Version(text)) == text


@pytest.mark.parametrize("text", _BOUNDS)
def test_plain_bounds_are_sound(text: str) -> None:
    assert tool._PLAIN_SPECIFIER.fullmatch(text)
    assert SpecifierSet(text)
    assert tool._PLAIN_REQUIREMENT.fullmatch(f"a.b-c_d{text}")
    assert Requirement(f"a.b-c_d{text}").name == "a.b-c_d"


@pytest.mark.parametrize("text", _LEFT)
def test_all_others_are_left_to_the_library(text: str) -> None:
    assert not tool._PLAIN_SPECIFIER.fullmatch(text)


@pytest.mark.parametrize("text", ["01.0", "1.0a1", "v1", "1!0", "1.0+l", "1.", "\u0663"])
def test_versions_with_another_normal_form_are_left_to_it(text: str) -> None:
    assert not tool._PLAIN_VERSION.fullmatch(text)


@pytest.mark.parametrize("text", ["a-", "-a", "a b", "a[x]", "a @ https://x", "a; x", "a>1; x", "é"])
def test_requirements_with_more_to_them_are_left_to_it(text: str) -> None:
    assert not tool._PLAIN_REQUIREMENT.fullmatch(text)
