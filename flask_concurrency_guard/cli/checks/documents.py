"""Is the app's JSON safe?"""

from __future__ import annotations

from collections.abc import Iterator

from ...json.patches import find_patches
from ...json.provider import SafeJSONProvider
from .finding import Finding
from .finding import Subject
from .finding import ok
from .finding import warning


def check_json(subject: Subject) -> Iterator[Finding]:
    """Is it written by what was chosen, and is the standard library's as it was?"""
    app, settings = subject.app, subject.state.settings
    if settings.json_backend is None:
        yield ok("'CONCURRENCY_GUARD_JSON_BACKEND' is None, so 'app.json' is left alone.")
    elif isinstance(app.json, SafeJSONProvider):
        yield ok(f"'app.json' is the safe provider, by '{settings.json_backend}'.")
    else:
        yield warning(
            f"'app.json' is '{type(app.json).__qualname__}', and not the safe provider.",
            "Set your own provider before 'ConcurrencyGuard(app)', as a subclass of Flask's"
            " default one without 'dumps' and 'loads'; or set 'CONCURRENCY_GUARD_JSON_BACKEND' to"
            " None to say that you mean it.",
        )
    patches = find_patches()
    if patches:
        yield warning(
            f"Something replaced parts of the standard library's json: {', '.join(patches)}.",
            "'app.json' doesn't use these; other code in the process does. Remove what patches it.",
        )
