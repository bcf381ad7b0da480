"""A private copy of the standard library's JSON encoder and decoder.

Programs swap the ``json`` in :data:`sys.modules` for another library, or replace functions and
methods in it, before this package is imported or after. The modules loaded here come from the
interpreter's own files and are in no :data:`sys.modules`, so no such patch can reach them.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import types
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence
    from json import JSONDecodeError
    from json import JSONDecoder
    from json import JSONEncoder

# Nowhere, in a program that has a Python inside and doesn't say where its library is.
_OS_FILE = getattr(os, "__file__", None)
_STANDARD_LIBRARY = [] if _OS_FILE is None else [str(Path(_OS_FILE).parent)]


def _load(name: str, modules: Mapping[str, object | None]) -> types.ModuleType:
    """Execute the standard library's module ``json.<name>`` anew.

    Its imports of ``modules`` are answered from there, where `None` means that there is none.
    """
    package = PathFinder.find_spec("json", _STANDARD_LIBRARY)
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec(f"json.{name}", folders) if folders else None
    code = getattr(spec.loader, "get_code", lambda _: None)(spec.name) if spec else None

    if code is None:
        raise ImportError(f"'json.{name}' has no file in {_STANDARD_LIBRARY}.")

    def answer(
        wanted: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if wanted not in modules:
            return builtins.__import__(wanted, globals, locals, fromlist or (), level)
        if modules[wanted] is None:
            raise ImportError(f"'{wanted}' is hidden from the private copy of 'json.{name}'.")
        return modules[wanted]

    module = types.ModuleType(f"{__name__}.{name}")
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": answer}
    exec(code, module.__dict__)
    return module


def _load_all() -> tuple[types.ModuleType, types.ModuleType, types.ModuleType]:
    try:
        scanner = _load("scanner", {})
        # `json.decoder` says `from json import scanner`. Its functions in C are hidden, since
        # they raise whatever `JSONDecodeError` the shared modules hold at that moment; only
        # `find_error` runs these in Python, the scanner above keeps its C.
        json = types.SimpleNamespace(scanner=scanner)
        decoder = _load("decoder", {"json": json, "_json": None})
        # PyPy imports what there is, whoever answers.
        vars(decoder)["scanner"] = scanner
        return scanner, decoder, _load("encoder", {})
    except ImportError:
        # A frozen program has no files. The shared modules are the only ones then.
        shared = [importlib.import_module(f"json.{name}") for name in _MODULES]
        return shared[0], shared[1], shared[2]


_MODULES = ("scanner", "decoder", "encoder")
_scanner, _decoder, _encoder = _load_all()


def _shared(module: str, name: str, private: type) -> type:
    """Return the class that the rest of the program knows, or the private one in its place."""
    try:
        found = getattr(importlib.import_module(f"json.{module}"), name, None)
    except ImportError:
        # Another library stands in for `json`, and the real one was never imported.
        return private
    if isinstance(found, type) and found.__module__ == f"json.{module}":
        return found
    return private


if TYPE_CHECKING:
    Encoder = SharedEncoder = JSONEncoder
    Decoder = SharedDecoder = JSONDecoder
    DecodeError = SharedDecodeError = JSONDecodeError
else:
    Encoder = _encoder.JSONEncoder
    Decoder = _decoder.JSONDecoder
    DecodeError = _decoder.JSONDecodeError
    SharedEncoder = _shared("encoder", "JSONEncoder", Encoder)
    SharedDecoder = _shared("decoder", "JSONDecoder", Decoder)
    SharedDecodeError = _shared("decoder", "JSONDecodeError", DecodeError)


def dumps(value: object, **options: Any) -> str:
    """Return `value` as JSON, for what the package itself writes.

    :param options: those of `json.JSONEncoder`.
    """
    return Encoder(**options).encode(value)


def loads(text: str | bytes) -> Any:
    """Return what JSON in UTF-8 says, for what the package itself reads.

    :raises ValueError: it isn't JSON.
    """
    document = text if isinstance(text, str) else text.decode()
    try:
        return Decoder().decode(document)
    except ValueError:
        raise
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except Exception:  # Whatever comes of a `JSONDecodeError` that was patched.
        raise (find_error(document) or ValueError("It can't be read.")) from None


# The parts that an encoder is made of. That in C is `None` where Python has none; PyPy's takes
# something else.
make_encoder: Callable[..., Callable[..., tuple[str, ...]]] | None = (
    _encoder.c_make_encoder if sys.implementation.name == "cpython" else None
)
make_iterencode: Callable[..., Callable[[object, int], Iterator[str]]] = _encoder._make_iterencode


def string_encoder(ensure_ascii: bool) -> Callable[[str], str]:
    """Return what writes a string."""
    name = "encode_basestring_ascii" if ensure_ascii else "encode_basestring"
    encoder: Callable[[str], str] = getattr(_encoder, name)
    return encoder


def find_error(text: str) -> JSONDecodeError | None:
    """Return the error that the decoder gives for ``text``, found without shared modules.

    The scanner in C imports ``json.decoder.JSONDecodeError`` when it raises, and fails in its own
    ways where that was patched. This one is slow, for that case only. Of a bad escape or control
    character it gives one position more, and names the character.
    """
    decoder = Decoder()
    vars(decoder)["scan_once"] = _scanner.py_make_scanner(decoder)
    try:
        decoder.decode(text)
    except DecodeError as error:
        return error
    except ValueError:
        # An integer that is too long to be read, which has no position of its own.
        pass
    return None


def shared_error_is_patched() -> bool:
    """Whether the scanner in C would raise another class than the one it was written for."""
    module = sys.modules.get("json.decoder")
    return getattr(module, "JSONDecodeError", None) is not SharedDecodeError
