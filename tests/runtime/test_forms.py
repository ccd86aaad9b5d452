"""Forms for the user are those of the SDK, and enumerations too."""

import enum
from typing import Annotated, Any, Literal

import pytest
from mcp.server.elicitation import render_elicitation_schema
from pydantic import BaseModel, Field

from mcp_tool.schema.forms import FormError, render


class Name(BaseModel):
    name: str


class Shade(enum.Enum):
    LIGHT = "light"
    DARK = "dark"


class Simple(BaseModel):
    """A form."""

    name: str = Field("John", description="who", min_length=1)
    age: int = 30
    score: float = 95.5
    kind: Literal["a", "b"] = "a"
    sure: bool = True
    mail: Annotated[str | None, Field(json_schema_extra={"format": "email"})] = None
    many: list[Literal["x", "y"]] = ["x"]
    titled: Annotated[str, Field(json_schema_extra={"oneOf": [{"const": "v", "title": "V"}]})]


class TestForms:
    def test_as_the_sdk_renders_them(self) -> None:
        assert render(Simple) == render_elicitation_schema(Simple)

    def test_enumerations_and_single_choices(self) -> None:
        class Form(BaseModel):
            shade: Shade
            shades: list[Shade]
            only: Literal["one"]

        properties = render(Form)["properties"]
        assert properties["shade"] == {"enum": ["light", "dark"], "title": "Shade", "type": "string"}
        assert properties["shades"]["items"]["enum"] == ["light", "dark"]
        assert properties["only"]["enum"] == ["one"]

    @pytest.mark.parametrize("kind", [Name, list[str], dict[str, int], int | str])
    def test_what_no_form_shows(self, kind: Any) -> None:
        form = type("Form", (BaseModel,), {"__annotations__": {"field": kind}})
        with pytest.raises(FormError, match="field 'field' of Form"):
            render(form)
