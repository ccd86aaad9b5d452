"""The table of ``docs/contract.md``: what changes, before and after, and whether it breaks a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_packager.contract import Contract
from mcp_packager.contract.document import LISTS, digest

Json = dict[str, Any]
BREAKING, HARMLESS, NOTHING = True, False, None


def contract(**lists: list[Json]) -> Contract:
    covered = {name: lists.get(name, []) for name in LISTS}
    return Contract.from_document({"schema": 1, "hash": digest(covered), **covered})


def tool(name: str = "t", *, takes: Json | None = None, **rest: Any) -> Json:
    knobs: Json = {key: rest.pop(key) for key in ("timeout", "scopes", "asks") if key in rest}
    definition = {"name": name, "inputSchema": takes or {"type": "object", "properties": {}}, **rest}
    return {"name": name, "sha256": digest(definition), "definition": definition, **knobs}


def arguments(required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


STR, INT, NUM, BOOL, NULL = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))


def entries(items: Json) -> Json:
    return {"type": "object", "additionalProperties": items}


def pair(first: Json) -> Json:
    return {"type": "array", "prefixItems": [first]}


def point(**changes: Any) -> Json:
    return {**POINT, **changes}


def note(**changes: Any) -> Mapping[str, list[Json]]:
    return listed("resources", **{"name": "note", "uri": "note://1", "mimeType": "text/plain", **changes})


def either(*members: Json) -> Json:
    return {"anyOf": list(members)}


def array(items: Json, **rest: Any) -> Json:
    return {"type": "array", "items": items, **rest}


POINT = {"type": "object", "properties": {"x": INT, "y": INT}, "required": ["x"]}
XYZ = {"x": INT, "y": INT, "z": INT}
CLOSED = {**POINT, "additionalProperties": False}
TREE = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "value": INT}}
TREE_TEXT = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "value": STR}}
A_OR_B = [
    {"type": "object", "properties": {"kind": {"const": "a"}, "a": INT}, "required": ["kind", "a"]},
    {"type": "object", "properties": {"kind": {"const": "b"}, "b": STR}, "required": ["kind", "b"]},
]

# What changes about one argument, called x: before, after, and whether it breaks.
ARGUMENT = [
    ("the same", STR, STR, NOTHING),
    ("type changed", STR, INT, BREAKING),
    ("integer becomes number", INT, NUM, HARMLESS),
    ("number becomes integer", NUM, INT, BREAKING),
    ("may be null now", STR, either(STR, NULL), HARMLESS),
    ("may not be null any more", either(STR, NULL), STR, BREAKING),
    ("a list of types lost one", {"type": ["string", "null"]}, STR, BREAKING),
    ("a list of types written as a union", {"type": ["string", "null"]}, either(NULL, STR), HARMLESS),
    ("a union gained a member", either(STR, INT), either(STR, INT, BOOL), HARMLESS),
    ("a union lost a member", either(STR, INT, BOOL), either(STR, INT), BREAKING),
    ("a union in another order", either(STR, INT), either(INT, STR), HARMLESS),
    ("anything becomes a type", {}, STR, BREAKING),
    ("a type becomes anything", STR, {}, HARMLESS),
    ("an enum gained a value", {"enum": ["a"]}, {"enum": ["a", "b"]}, HARMLESS),
    ("an enum lost a value", {"enum": ["a", "b"]}, {"enum": ["a"]}, BREAKING),
    ("a string becomes an enum", STR, {"enum": ["a"]}, BREAKING),
    ("an enum becomes a string", {"enum": ["a"]}, STR, HARMLESS),
    ("an enum becomes a shorter string", {"enum": ["abc"]}, {"type": "string", "maxLength": 2}, BREAKING),
    ("a constant changed", {"const": 1}, {"const": 2}, BREAKING),
    ("a constant joins an enum", {"const": 1}, {"enum": [1, 2]}, HARMLESS),
    ("true is not one", {"enum": [1]}, {"enum": [True]}, BREAKING),
    ("a boolean lost a value", BOOL, {"const": True}, BREAKING),
    ("minimum raised", {**INT, "minimum": 1}, {**INT, "minimum": 2}, BREAKING),
    ("minimum lowered", {**INT, "minimum": 2}, {**INT, "minimum": 1}, HARMLESS),
    ("minimum of zero added", INT, {**INT, "minimum": 0}, BREAKING),
    ("bound becomes exclusive", {**NUM, "maximum": 5}, {**NUM, "exclusiveMaximum": 5}, BREAKING),
    ("bound becomes inclusive", {**NUM, "exclusiveMaximum": 5}, {**NUM, "maximum": 5}, HARMLESS),
    ("maximum removed", {**INT, "maximum": 5}, INT, HARMLESS),
    ("multipleOf added", INT, {**INT, "multipleOf": 2}, BREAKING),
    ("multipleOf becomes a divisor", {**INT, "multipleOf": 4}, {**INT, "multipleOf": 2}, HARMLESS),
    ("maxLength lowered", {**STR, "maxLength": 9}, {**STR, "maxLength": 8}, BREAKING),
    ("minLength of zero added", STR, {**STR, "minLength": 0}, HARMLESS),
    ("pattern added", STR, {**STR, "pattern": "^a"}, BREAKING),
    ("pattern removed", {**STR, "pattern": "^a"}, STR, HARMLESS),
    ("pattern changed", {**STR, "pattern": "^a"}, {**STR, "pattern": "^b"}, BREAKING),
    ("format added", STR, {**STR, "format": "date"}, BREAKING),
    ("items narrowed", array(STR), array(INT), BREAKING),
    ("items widened", array(INT), array(NUM), HARMLESS),
    ("maxItems added", array(STR), array(STR, maxItems=3), BREAKING),
    ("uniqueItems added", array(STR), array(STR, uniqueItems=True), BREAKING),
    ("one becomes an array", STR, array(STR), BREAKING),
    ("one or an array", STR, either(STR, array(STR)), HARMLESS),
    ("a tuple's item narrowed", pair(NUM), pair(INT), BREAKING),
    ("a nested property newly required", POINT, {**POINT, "required": ["x", "y"]}, BREAKING),
    ("a nested property no longer required", POINT, {**POINT, "required": []}, HARMLESS),
    ("a nested property gone", POINT, {**POINT, "properties": {"x": INT}}, BREAKING),
    ("a nested property added", POINT, {**POINT, "properties": {"x": INT, "y": INT, "z": INT}}, HARMLESS),
    ("a nested property narrowed", POINT, {**POINT, "properties": {"x": INT, "y": {"const": 1}}}, BREAKING),
    ("further properties closed", POINT, {**POINT, "additionalProperties": False}, BREAKING),
    ("further properties opened", {**POINT, "additionalProperties": False}, POINT, HARMLESS),
    ("further properties typed", POINT, {**POINT, "additionalProperties": STR}, BREAKING),
    ("values of a map narrowed", entries(NUM), entries(INT), BREAKING),
    ("a member of a discriminated union lost", {"oneOf": A_OR_B}, {"oneOf": A_OR_B[:1]}, BREAKING),
    ("a member of a discriminated union added", {"oneOf": A_OR_B[:1]}, {"oneOf": A_OR_B}, HARMLESS),
    ("a keyword that cannot be judged", STR, {**STR, "not": {"const": "x"}}, BREAKING),
    ("description changed", {**STR, "description": "a"}, {**STR, "description": "b"}, HARMLESS),
    ("default changed", {**STR, "default": "a"}, {**STR, "default": "b"}, HARMLESS),
]  # fmt: skip


def result(schema: Json | None) -> Json:
    return tool() if schema is None else tool(outputSchema=schema)


# What changes about a tool as a whole.
TOOL = [
    ("an argument gone", tool(takes=arguments(x=STR)), tool(takes=arguments()), BREAKING),
    ("an argument added, optional", tool(takes=arguments()), tool(takes=arguments(x=STR)), HARMLESS),
    ("an argument added, required", tool(takes=arguments()), tool(takes=arguments(("x",), x=STR)), BREAKING),
    ("an argument newly required", tool(takes=arguments(x=STR)), tool(takes=arguments(("x",), x=STR)), BREAKING),
    ("an argument no longer required", tool(takes=arguments(("x",), x=STR)), tool(takes=arguments(x=STR)), HARMLESS),
    ("an argument renamed", tool(takes=arguments(x=STR)), tool(takes=arguments(y=STR)), BREAKING),
    ("a result's type changed", result(STR), result(INT), BREAKING),
    ("a result widened", result(INT), result(NUM), BREAKING),
    ("a result narrowed", result(NUM), result(INT), HARMLESS),
    ("a result may be null now", result(POINT), result(either(POINT, NULL)), BREAKING),
    ("a result's property not always there", result(POINT), result({**POINT, "required": []}), BREAKING),
    ("a result's property always there", result(POINT), result({**POINT, "required": ["x", "y"]}), HARMLESS),
    ("a result's property added", result(POINT), result(point(properties=XYZ)), HARMLESS),
    ("a result's optional property gone", result(POINT), result({**POINT, "properties": {"x": INT}}), HARMLESS),
    ("a result's sure property gone", result(POINT), result(point(properties={"y": INT}, required=[])), BREAKING),
    ("a closed result's property added", result(CLOSED), result({**CLOSED, "properties": XYZ}), BREAKING),
    ("a result's enum gained a value", result({"enum": ["a"]}), result({"enum": ["a", "b"]}), BREAKING),
    ("a result's enum lost a value", result({"enum": ["a", "b"]}), result({"enum": ["a"]}), HARMLESS),
    ("a result's bound removed", result({**INT, "maximum": 5}), result(INT), BREAKING),
    ("structured results given up", result(POINT), result(None), BREAKING),
    ("structured results added", result(None), result(POINT), HARMLESS),
    ("a tool's description changed", tool(description="a"), tool(description="b"), HARMLESS),
    ("a tool's title changed", tool(title="a"), tool(title="b"), HARMLESS),
    ("a tool's hints changed", tool(annotations={"readOnlyHint": True}), tool(annotations={}), HARMLESS),
    ("a scope asked for", tool(scopes=[]), tool(scopes=["write"]), BREAKING),
    ("a scope no longer asked for", tool(scopes=["write"]), tool(scopes=[]), HARMLESS),
    ("a timeout changed", tool(timeout=5), tool(timeout=9), HARMLESS),
    ("a tool that asks the user now", tool(asks=False), tool(asks=True), HARMLESS),
]  # fmt: skip


def listed(kind: str, **definition: Any) -> Mapping[str, list[Json]]:
    entry = {"name": definition["name"], "sha256": digest(definition), "definition": definition}
    for key in ("uri", "uriTemplate"):
        if key in definition:
            entry[key] = definition[key]
    return {kind: [entry]}


def prompt(*given: Json) -> Mapping[str, list[Json]]:
    return listed("prompts", name="p", arguments=list(given))


# What changes about everything else.
OTHER: list[tuple[str, Mapping[str, list[Json]], Mapping[str, list[Json]], bool]] = [
    ("a tool gone", {"tools": [tool()]}, {}, BREAKING),
    ("a tool added", {}, {"tools": [tool()]}, HARMLESS),
    ("a tool renamed", {"tools": [tool("a")]}, {"tools": [tool("b")]}, BREAKING),
    ("a resource gone", note(), {}, BREAKING),
    ("a resource added", {}, note(), HARMLESS),
    ("a resource at another address", note(), note(uri="note://2"), BREAKING),
    ("a resource of another type", note(), note(mimeType="text/html"), BREAKING),
    ("a resource under another name", note(), note(name="n"), HARMLESS),
    ("a template gone", listed("templates", name="n", uriTemplate="note://{id}"), {}, BREAKING),
    ("a prompt gone", prompt(), {}, BREAKING),
    ("a prompt's argument added, optional", prompt(), prompt({"name": "x"}), HARMLESS),
    ("a prompt's argument added, required", prompt(), prompt({"name": "x", "required": True}), BREAKING),
    ("a prompt's argument newly required", prompt({"name": "x"}), prompt({"name": "x", "required": True}), BREAKING),
    ("a prompt's argument gone", prompt({"name": "x"}), prompt(), BREAKING),
    ("a prompt's description changed", prompt(), listed("prompts", name="p", arguments=[], description="d"), HARMLESS),
]  # fmt: skip
