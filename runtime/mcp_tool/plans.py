"""Declarations made ready to be called: schemas, roles of parameters, resolvers; and every problem with them."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_tool import definitions, providers, resolvers, uri
from mcp_tool.asking import InputRequired
from mcp_tool.errors import ContractError, ContractProblem, Place
from mcp_tool.providing import Sources
from mcp_tool.registry import (
    Common,
    Declaration,
    PromptDeclaration,
    ProviderDeclaration,
    ResourceDeclaration,
    ToolDeclaration,
)
from mcp_tool.resolvers import Resolvers
from mcp_tool.roles import FromCaller, FromSource, Role, role
from mcp_tool.schema import docs, headers, inputs, outputs, signature
from mcp_tool.schema.inputs import Inputs
from mcp_tool.schema.outputs import Outputs
from mcp_tool.schema.signature import Flaw, Signature

_TOOL_NAME = re.compile(r"[\w.-]{1,128}")


@dataclass(frozen=True, slots=True)
class Call:
    """How to call one of the author's functions."""

    function: Callable[..., Any]
    inputs: Inputs
    roles: Mapping[str, Role]
    resolvers: Resolvers

    @property
    def sources(self) -> tuple[Any, ...]:
        """What it needs of what is made once per process."""
        nodes = self.resolvers.by_identity.values()
        every = (*self.roles.values(), *(found for node in nodes for found in node.roles.values()))
        return tuple(found.source for found in every if isinstance(found, FromSource))


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """A tool. `definition` is in wire form; `asks` tells whether it may put questions to the user."""

    declaration: ToolDeclaration
    call: Call
    outputs: Outputs | None
    definition: Mapping[str, Any]
    asks: bool


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """A resource, or a resource template where `template` is one."""

    declaration: ResourceDeclaration
    call: Call
    mime_type: str
    template: uri.Template | None
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """A prompt."""

    declaration: PromptDeclaration
    call: Call
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plans:
    """Everything an app offers, by what a client calls it; templates in the order they were written."""

    tools: Mapping[str, ToolPlan]
    resources: Mapping[str, ResourcePlan]
    templates: Mapping[str, ResourcePlan]
    prompts: Mapping[str, PromptPlan]
    providers: providers.Providers
    sources: Sources = field(default_factory=Sources)

    def resource(self, address: str) -> tuple[ResourcePlan, dict[str, Any]] | None:
        """The resource or template of a URI, and the values of its variables; None where there is none."""
        plan = self.resources.get(address)
        if plan is not None:
            return plan, {}
        for candidate in self.templates.values():
            values = None if candidate.template is None else candidate.template.match(address)
            if values is None:
                continue
            # The first match decides: an unsafe value must not fall through to a laxer template.
            if uri.unsafe(values, candidate.declaration.unchecked) is not None:
                return None
            return candidate, dict(values)
        return None


def build(
    declarations: Iterable[Declaration], problems: Iterable[ContractProblem] = (), secrets: frozenset[str] | None = None
) -> Plans:
    """Check and prepare what was declared.

    Args:
        declarations: In order.
        problems: What is known to be wrong already.
        secrets: Names that the manifest declares; None to leave them unchecked.

    Raises:
        ContractError: Everything that is wrong.
    """
    declared = tuple(declarations)
    desk = _Desk(problems, secrets)
    provided = [found for found in declared if isinstance(found, ProviderDeclaration)]
    desk.sources, wrong = providers.sources(provided)
    desk.problems.extend(wrong)
    for declaration in declared:
        match declaration:
            case ToolDeclaration():
                desk.tool(declaration)
            case ResourceDeclaration():
                desk.resource(declaration)
            case PromptDeclaration():
                desk.prompt(declaration)
            case ProviderDeclaration():
                pass
    graph, wrong = providers.build(desk.needed, provided, desk.sources)
    desk.problems.extend(wrong)
    if desk.problems:
        raise ContractError(desk.problems)
    return Plans(desk.tools, desk.resources, desk.templates, desk.prompts, graph, desk.sources)


class _Desk:
    """Where plans and problems gather."""

    def __init__(self, problems: Iterable[ContractProblem], secrets: frozenset[str] | None) -> None:
        self.problems = list(problems)
        self.sources = Sources()
        self.needed: list[Any] = []
        self.tools: dict[str, ToolPlan] = {}
        self.resources: dict[str, ResourcePlan] = {}
        self.templates: dict[str, ResourcePlan] = {}
        self.prompts: dict[str, PromptPlan] = {}
        self._secrets = secrets
        self._first: dict[tuple[str, str], Place] = {}

    def tool(self, declaration: ToolDeclaration) -> None:
        common = self._described(declaration.common, "tool")
        place, new = common.place, self._new(common, "tool", common.name)
        if not _TOOL_NAME.fullmatch(common.name):
            self._report(place, Flaw(f"{common.name!r} is no tool's name", "use up to 128 letters, digits, . _ and -"))
        for name in declaration.secrets:
            if self._secrets is not None and name not in self._secrets:
                what = f"tool {common.name!r} needs the secret {name}, which mcp-tool.toml does not declare"
                self._report(place, Flaw(what, f"add [secrets.{name}] to mcp-tool.toml"))
        read, call = self._call(common)
        out = outputs.build(read.name, read.returns, structured=declaration.structured)
        if isinstance(out, Flaw):
            self._report(place, out)
        elif call is not None and new:
            call = self._schema(declaration, call)
            by_hand = InputRequired in signature.arms(read.returns)
            if by_hand and call.resolvers.by_identity:
                what = f"tool {common.name!r} returns InputRequired, and its parameters use Resolve(…)"
                self._report(place, Flaw(what, "ask in one of the two ways: a call has one state to send around"))
            asks = call.resolvers.ask or by_hand
            ready = declaration._replace(common=common)
            definition = definitions.tool(ready, call.inputs.schema, None if out is None else out.schema)
            self.tools[common.name] = ToolPlan(ready, call, out, definition, asks)

    def resource(self, declaration: ResourceDeclaration) -> None:
        common = self._described(declaration.common, None)
        new = self._new(common, "resource", declaration.uri)
        read, call = self._call(common)
        template = self._template(declaration)
        if call is None or isinstance(template, Flaw):
            return
        self._check_variables(declaration, call, template)
        known = self.resources if template is None else self.templates
        if new:
            mime_type = declaration.mime_type or definitions.mime_type(read.returns)
            ready = declaration._replace(common=common)
            definition = definitions.resource(ready, mime_type, template=template is not None)
            known[declaration.uri] = ResourcePlan(ready, call, mime_type, template, definition)

    def prompt(self, declaration: PromptDeclaration) -> None:
        common = self._described(declaration.common, "prompt")
        new = self._new(common, "prompt", common.name)
        _, call = self._call(common)
        if call is None or not new:
            return
        self._check_completed(common, declaration.complete, call.inputs.names, "argument")
        ready = declaration._replace(common=common)
        self.prompts[common.name] = PromptPlan(ready, call, definitions.prompt(ready, call.inputs.schema))

    def _call(self, common: Common) -> tuple[Signature, Call | None]:
        """How to call a function; None where it cannot be."""
        read, flaws = signature.read(common.function)
        if inspect.isgeneratorfunction(common.function) or inspect.isasyncgenfunction(common.function):
            flaws += (Flaw(f"{read.name}() yields, and a call has one result", "collect what it yields and return it"),)
        found_roles = {each.name: role(each, self.sources, read.name) for each in read.parameters}
        arguments = [each for each in read.parameters if isinstance(found_roles[each.name], FromCaller)]
        made = inputs.build(read.name, arguments, docs.read(common.function).arguments)
        wrong = [*flaws, *(found for found in found_roles.values() if isinstance(found, Flaw))]
        wrong.extend(made if isinstance(made, tuple) else ())
        filled = {name: found for name, found in found_roles.items() if not isinstance(found, Flaw)}
        graph, more = resolvers.build(filled, (each.name for each in arguments), self.sources)
        for flaw in (*wrong, *more):
            self._report(common.place, flaw)
        if isinstance(made, tuple) or wrong or more:
            return read, None
        call = Call(common.function, made, filled, graph)
        self.needed.extend(call.sources)
        return read, call

    def _schema(self, declaration: ToolDeclaration, call: Call) -> Call:
        """The published schema: the author's own where there is one."""
        common, given = declaration.common, declaration.input_schema
        published = call.inputs if given is None else replace(call.inputs, schema=given)
        properties = published.schema.get("properties", {})
        for name in call.inputs.names:
            if name not in properties:
                what = f"parameter {name!r} of {common.name!r} is not among the properties of its input_schema"
                self._report(common.place, Flaw(what, "add it, or remove the parameter"))
        if published.schema.get("type") != "object":
            what = f"the input_schema of {common.name!r} is not of type object"
            self._report(common.place, Flaw(what, 'add "type": "object"'))
        reason = headers.invalid(published.schema)
        if reason is not None:
            what = f"tool {common.name!r}: {reason}"
            self._report(common.place, Flaw(what, "see x-mcp-header in the MCP specification"))
        return replace(call, inputs=published)

    def _template(self, declaration: ResourceDeclaration) -> uri.Template | Flaw | None:
        if not uri.is_template(declaration.uri):
            return None
        try:
            return uri.parse(declaration.uri)
        except uri.TemplateError as error:
            flaw = Flaw(f"the URI template {declaration.uri!r} cannot be read: {error}", "mend the template")
            self._report(declaration.common.place, flaw)
            return flaw

    def _check_variables(self, declaration: ResourceDeclaration, call: Call, template: uri.Template | None) -> None:
        """Each variable has its parameter, and the other way round."""
        common = declaration.common
        variables = () if template is None else template.variables
        required = call.inputs.schema.get("required", [])
        for name in call.inputs.names:
            if name not in variables and name in required:
                what = f"parameter {name!r} of {common.name!r} is no variable of {declaration.uri!r}"
                self._report(common.place, Flaw(what, f"write {{{name}}} into the URI, or give it a default"))
        for name in variables:
            if name not in call.inputs.names:
                what = f"variable {name!r} of {declaration.uri!r} is no parameter of {common.name!r}"
                self._report(common.place, Flaw(what, f"add the parameter {name}: str"))
        for name in () if template is None else template.query:
            if name in required:
                what = f"{{?{name}}} of {declaration.uri!r} may be missing, and the parameter has no default"
                self._report(common.place, Flaw(what, f"give {name} a default"))
        self._check_completed(common, declaration.complete, variables, "variable")

    def _check_completed(self, common: Common, complete: Mapping[str, Any], names: Iterable[str], kind: str) -> None:
        known = tuple(names)
        for name in complete:
            if name not in known:
                what = f"complete={{{name!r}: …}} of {common.name!r} names no {kind}"
                self._report(common.place, Flaw(what, f"its {kind}s are: {', '.join(known) or 'none'}"))

    def _described(self, common: Common, kind: str | None) -> Common:
        """With its description; `kind` names what must have one."""
        description = common.description or docs.read(common.function).description or None
        if description is None and kind is not None:
            what = f"{kind} {common.name!r} has no description, so that no model knows when to use it"
            self._report(common.place, Flaw(what, "write a docstring, or description=…"))
        return common._replace(description=description)

    def _new(self, common: Common, kind: str, name: str) -> bool:
        """Whether a name is not taken yet, be it by something that has problems of its own."""
        first = self._first.get((kind, name))
        if first is None:
            self._first[kind, name] = common.place
            return True
        what = f"{kind} {name!r} is declared twice: here and in {first}"
        self._report(common.place, Flaw(what, "rename one of them"))
        return False

    def _report(self, place: Place, flaw: Flaw) -> None:
        self.problems.append(ContractProblem(place, flaw.what, flaw.fix))
