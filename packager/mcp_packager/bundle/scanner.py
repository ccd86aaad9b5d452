"""What a process of its own runs to look for secrets: detect-secrets, without what it loads and never uses here.

That is the HTTP client that it would ask the owners of secrets with, and side-by-side work on many files. This module
stands alone: it is handed to an interpreter as text.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, Final

_PACKAGE: Final = "detect_secrets"
_LEFT_OUT: Final = frozenset({"multiprocessing", "requests"})
_NOT_SECRETS: Final = frozenset({"IPPublicDetector"})
_FILTERS: Final = (
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.heuristic.is_likely_id_string",
    "detect_secrets.filters.heuristic.is_lock_file",
    "detect_secrets.filters.heuristic.is_non_text_file",
    "detect_secrets.filters.heuristic.is_not_alphanumeric_string",
    "detect_secrets.filters.heuristic.is_potential_uuid",
    "detect_secrets.filters.heuristic.is_prefixed_with_dollar_sign",
    "detect_secrets.filters.heuristic.is_sequential_string",
    "detect_secrets.filters.heuristic.is_templated_secret",
)
"""detect-secrets' defaults without its inline allow-list: an exception is a manifest entry with a reason."""


def scanned(paths: Sequence[str]) -> list[list[tuple[int, str]]]:
    """Line and kind of what looks like a secret, for each of these files of text."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    found: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    plugins = sorted(plugin.__name__ for plugin in found.values())
    settings = {
        "plugins_used": [{"name": name} for name in plugins if name not in _NOT_SECRETS],
        "filters_used": [{"path": name} for name in _FILTERS],
    }
    with transient_settings(settings):
        return [[(secret.line_number, secret.type) for secret in scan_file(path)] for path in paths]


def main() -> None:
    """Scan the files that standard input names, a JSON array; the answer is one of ``[[line, kind], …]``."""
    gc.disable()
    sys.meta_path.insert(0, _Finder())
    print(json.dumps(scanned(json.loads(sys.stdin.read()))), flush=True)  # noqa: T201 - the answer
    os._exit(0)  # taking down what was imported is for nobody


class _Finder:
    """Finds the scanner's modules as Python does, and has them see another ``import``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; none for modules of other packages, which are found as ever."""
        if name.partition(".")[0] != _PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module with an ``import`` of its own; other modules are not touched by it."""

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class _Nothing:
    """What stands for what is left out: every name of it is a class that nothing is an instance of."""

    def __getattr__(self, name: str) -> type:
        return type(name, (), {})


def _import(name: str, *others: Any, **more: Any) -> Any:
    return _Nothing() if name.partition(".")[0] in _LEFT_OUT else builtins.__import__(name, *others, **more)


if __name__ == "__main__":
    main()
