"""A Helm chart of the same objects that a deploy makes; with its default values it gives exactly the plain manifests.

What Helm does otherwise: the namespace is the release's, what stands in no namespace is no part of the chart, and the
key that copies share is made by a hook where it is missing. https://helm.sh/docs/topics/charts/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mcp_packager.target import STATE, DesiredInput, digest
from mcp_packager.yaml import yaml_text
from mcp_targets._kube.charttest import hook_key, hook_test
from mcp_targets._kube.holes import Holes, unused
from mcp_targets._kube.names import SERVER, Names
from mcp_targets._kube.plain import file_name, plain_objects
from mcp_targets._kube.settings import config_document, url
from mcp_targets._kube.site import Ingress, Object, Patch, Public, Site
from mcp_targets._kube.values import defaults, schema
from mcp_targets._kube.workload import autoscaler, scales

KUBE_VERSION: Final = ">=1.30.0-0"
"""The first with ``preStop.sleep`` switched on (https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks)."""

_CONFIG: Final = 'include "config.name" .'
_SCALING: Final = ".Values.autoscaling.enabled"


def chart(request: DesiredInput, site: Site) -> dict[str, str]:
    """The chart's files by their paths.

    Raises:
        UserError: a patch does not fit.
    """
    names, tool = Names(request.identity), request.manifest.tool
    plain = plain_objects(request, site)
    holes = Holes(unused("".join(map(yaml_text, plain))))
    values = defaults(request, site, plain)
    files = {
        "Chart.yaml": yaml_text(
            {
                "apiVersion": "v2",
                "name": tool.name,
                "description": " ".join(tool.description.split()) or f"The MCP server {tool.name}",
                "type": "application",
                "version": semantic(tool.version),
                "appVersion": tool.version,
                "kubeVersion": KUBE_VERSION,
            }
        ),
        "values.yaml": yaml_text(values),
        "values.schema.json": json.dumps(schema(values), indent=2, ensure_ascii=False) + "\n",
        "templates/_helpers.tpl": _helpers(plain, values),
        "templates/NOTES.txt": _notes(request, site, holes),
    }
    for number, item in enumerate(_templates(request, site, holes)):
        files[f"templates/{file_name(number, item)}".replace(holes.text(_CONFIG), "config")] = _gate(
            item, holes.filled(item)
        )
    key = hook_key(names.of(*STATE), names.labels(), holes)
    files["templates/hooks/key.yaml"] = key
    files["templates/tests/discover.yaml"] = hook_test(request, _marked_site(site, holes), holes)
    return files


def semantic(version: str) -> str:
    """A version of PEP 440 as SemVer 2, which charts have: ``1.2rc1`` is ``1.2.0-rc.1``."""
    found = re.fullmatch(r"([0-9.]+)(?:(a|b|rc)([0-9]+))?(?:\.post([0-9]+))?(?:\.dev([0-9]+))?", version)
    if found is None:
        raise ValueError(f"{version} is no version of PEP 440 without epoch and local part")
    release = [*found[1].split("."), "0", "0"][:3]
    further = found[1].split(".")[3:]
    before = [*([found[2], found[3]] if found[2] else []), *(["dev", found[5]] if found[5] else [])]
    build = [*further, *(["post", found[4]] if found[4] else [])]
    text = ".".join(release)
    text += f"-{'.'.join(before)}" if before else ""
    return text + (f"+{'.'.join(build)}" if build else "")


def _templates(request: DesiredInput, site: Site, holes: Holes) -> Iterator[Object]:
    """The objects with marks in them."""
    marked = _marked_site(site, holes)
    names = Names(request.identity)
    named = names.of("config", digest(config_document(request, replace(marked, probed=False)))[:12])
    for item in plain_objects(request, marked):
        if "namespace" not in item["metadata"]:
            continue  # other tools may share it, and Helm lets one release alone have it
        yield _opened(_renamed(item, named, holes.text(_CONFIG)), names, holes)
    if not scales(request.manifest):
        yield _opened(autoscaler(request.manifest, names, marked), names, holes)


def _marked_site(site: Site, holes: Holes) -> Site:
    """The site with marks for all that a value decides wherever it stands."""
    public = site.public
    if public is not None and isinstance(public.route, Ingress):
        tls = holes.text(".Values.ingress.tlsSecret") if public.route.tls_secret else None
        route = replace(public.route, class_name=holes.text(".Values.ingress.className"), tls_secret=tls)
        public = Public(holes.text(".Values.ingress.host"), route, public.root, public.secure)
    image = replace(
        site.image,
        repository=holes.text(".Values.image.repository"),
        digest=holes.text(".Values.image.digest"),
        tag=holes.text(".Values.image.tag"),
    )
    return replace(
        site,
        namespace=holes.text(".Release.Namespace"),
        public=public,
        image=image,
        patches=tuple(_untested(patch) for patch in site.patches),
    )


def _untested(patch: Patch) -> Patch:
    """The patch without its tests, which have passed on the plain objects and know nothing of marks."""
    return replace(patch, operations=tuple(one for one in patch.operations if one["op"] != "test"))


def _renamed(item: Any, old: str, new: str) -> Any:
    match item:
        case dict():
            return {key: _renamed(value, old, new) for key, value in item.items()}
        case list() | tuple():
            return [_renamed(value, old, new) for value in item]
        case str() if item == old:
            return new
        case _:
            return item


def _opened(item: Object, names: Names, holes: Holes) -> Object:
    """An object with marks for what a value decides there alone."""
    match item["kind"]:
        case "Deployment":
            return _deployment(item, holes)
        case "HorizontalPodAutoscaler":
            spec = {
                **item["spec"],
                "minReplicas": holes.json(".Values.autoscaling.minReplicas"),
                "maxReplicas": holes.json(".Values.autoscaling.maxReplicas"),
                "metrics": holes.json(".Values.autoscaling.metrics"),
            }
            return {**item, "spec": spec}
        case "ServiceAccount":
            return {**item, "metadata": _annotated(item["metadata"], ".Values.serviceAccount.annotations", holes)}
        case "Ingress":
            own = item["metadata"]["name"] == names.base
            values = ".Values.ingress.annotations" if own else ".Values.ingress.metadataAnnotations"
            return {**item, "metadata": _annotated(item["metadata"], values, holes)}
        case _:
            return item


def _deployment(item: Object, holes: Holes) -> Object:
    template = item["spec"]["template"]
    given = ("nodeSelector", "affinity", "tolerations", "imagePullSecrets")
    pod = {key: value for key, value in template["spec"].items() if key not in given}
    pod["containers"] = [_container(one, holes) for one in pod["containers"]]
    for key in given:
        pod |= holes.line(key, f".Values.{key}")
    spec = {key: value for key, value in item["spec"].items() if key != "replicas"}
    return {
        **item,
        "spec": {
            **holes.gated(f"not {_SCALING}", "replicas", ".Values.replicas"),
            **spec,
            "template": {"metadata": template["metadata"], "spec": pod},
        },
    }


def _container(container: Mapping[str, Any], holes: Holes) -> dict[str, Any]:
    """A container of the Pod; what the tool's own gets is a value."""
    if container["name"] != SERVER:
        return dict(container)
    rest = {key: value for key, value in container.items() if key != "resources"}
    return {**rest, **holes.line("resources", ".Values.resources")}


def _annotated(metadata: Mapping[str, Any], expression: str, holes: Holes) -> dict[str, Any]:
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**rest, **holes.line("annotations", expression)}


def _gate(item: Object, text: str) -> str:
    """The text of a template whose whole object is there or not."""
    match item["kind"]:
        case "HorizontalPodAutoscaler":
            return f"{{{{- if {_SCALING} }}}}\n{text}{{{{- end }}}}\n"
        case "ServiceMonitor":
            return f'{{{{- if .Capabilities.APIVersions.Has "{item["apiVersion"]}" }}}}\n{text}{{{{- end }}}}\n'
        case _:
            return text


def _helpers(plain: tuple[Object, ...], values: Mapping[str, Any]) -> str:
    """The name of the ConfigMap: as it is for the default values, and another for others, since it cannot change."""
    (name,) = (item["metadata"]["name"] for item in plain if item["kind"] == "ConfigMap")
    (namespace,) = (item["metadata"]["namespace"] for item in plain if item["kind"] == "ConfigMap")
    host = values["ingress"]["host"] if "ingress" in values else ""
    given = '(.Values.ingress).host | default ""'
    return (
        '{{- define "config.name" -}}\n'
        f'{{{{- $where := printf "%s %s" .Release.Namespace ({given}) -}}}}\n'
        f'{{{{- if eq $where "{namespace} {host}" -}}}}{name}'
        f"{{{{- else -}}}}{name}-{{{{ sha256sum $where | trunc 8 }}}}{{{{- end -}}}}\n"
        "{{- end -}}\n"
    )


def _notes(request: DesiredInput, site: Site, holes: Holes) -> str:
    return holes.plain(
        f"{request.manifest.tool.name} answers MCP at\n\n"
        f"  {url(request, _marked_site(site, holes))}\n\n"
        f"Look at it:\n\n"
        f"  helm test {holes.text('.Release.Name')} --namespace {holes.text('.Release.Namespace')} --logs\n"
    )
