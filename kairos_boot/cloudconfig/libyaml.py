"""PyYAML's binding of libyaml without the rest of PyYAML.

The package imports its loaders, dumpers, resolvers and with them re, enum, datetime and base64: 13 ms of a boot, more than
all the documents. The binding itself needs four small modules and the names of nine exceptions. They are lent to it
while it is imported; a later `import yaml` anywhere finds the package whole.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LENT = {"reader": "ReaderError", "scanner": "ScannerError", "parser": "ParserError", "composer": "ComposerError", "constructor": "ConstructorError",
        "emitter": "EmitterError", "serializer": "SerializerError", "representer": "RepresenterError", "resolver": "ResolverError"}
"""The modules that the binding takes an exception from, and which."""


def binding() -> tuple[Any, Any, Any, Any]:
    """CParser, the module of its events, MarkedYAMLError (which its errors with a place are), and ReaderError.

    For one caller, once: the binding keeps the exceptions that it was lent first.
    """
    if "yaml" not in sys.modules:
        try:
            return _lean()
        except (ImportError, AttributeError, TypeError):  # another PyYAML, which wants more: it gets all of itself
            for name in [n for n in sys.modules if n.startswith("yaml.")]:
                del sys.modules[name]
    from yaml import error, events, reader
    from yaml._yaml import CParser

    return CParser, events, error.MarkedYAMLError, reader.ReaderError


def _lean() -> tuple[Any, Any, Any, Any]:
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("yaml")
    if spec is None:
        raise ImportError("no module named yaml", name="yaml")
    module = type(sys)
    package = module("yaml")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["yaml"] = package
    try:
        from yaml.error import MarkedYAMLError, YAMLError

        class ReaderError(YAMLError):
            """A character or a byte that YAML does not allow."""

            def __init__(self, name: str, position: int, character: object, encoding: str, reason: str) -> None:
                super().__init__(name, position, character, encoding, reason)
                self.name, self.position, self.character, self.encoding, self.reason = name, position, character, encoding, reason

        for name, error in LENT.items():
            lent = module(f"yaml.{name}")
            setattr(lent, error, ReaderError if error == "ReaderError" else type(error, (MarkedYAMLError,), {}))
            setattr(package, name, lent)
            sys.modules[lent.__name__] = lent
        from yaml import events, nodes, tokens  # noqa: F401  (the binding wants them as attributes of the package)
        from yaml._yaml import CParser
    finally:
        for name in ("yaml", *(f"yaml.{lent}" for lent in LENT)):
            sys.modules.pop(name, None)
    return CParser, events, MarkedYAMLError, ReaderError
