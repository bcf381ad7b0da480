"""Putting the provider in the place of an app's own."""

from __future__ import annotations

import gc
import json
import logging
import sys
import weakref
from typing import Any

import pytest
from flask import Flask
from flask import render_template_string
from flask.json.provider import DefaultJSONProvider
from flask.json.provider import JSONProvider
from json_support import STYLES

from flask_concurrency_guard.errors import ConfigurationError
from flask_concurrency_guard.json import InvalidJSONError
from flask_concurrency_guard.json import JSONTypeError
from flask_concurrency_guard.json import JSONValueError
from flask_concurrency_guard.json import SafeJSONProvider
from flask_concurrency_guard.json import backends
from flask_concurrency_guard.json.attach import install

NAN = float("nan")


class ProviderOfItsOwn(DefaultJSONProvider):
    """Overrides what an app may override, and takes more than Flask's to create."""

    sort_keys = False
    mimetype = "application/vnd.own+json"

    def __init__(self, app: Flask, suffix: str) -> None:
        super().__init__(app)
        self.suffix = suffix

    def default(self, value: object) -> object:  # type: ignore[override]
        return f"{type(value).__name__}{self.suffix}"

    def response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().response({"data": self._prepare_response_obj(args, kwargs)})
        response.headers["X-Own"] = self.suffix
        return response


class OwnDumps(DefaultJSONProvider):
    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return "own"


class OwnLoads(DefaultJSONProvider):
    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return "own"


class OtherLibrary(JSONProvider):
    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return "other"

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return "other"


@pytest.fixture
def bare() -> Flask:
    return Flask("bare", static_folder=None)


def test_flasks_provider_is_replaced(bare: Flask, backend: str) -> None:
    install(bare, backend)

    assert type(bare.json) is SafeJSONProvider


@pytest.mark.parametrize("style", STYLES)
def test_what_was_set_on_the_provider_is_kept(bare: Flask, backend: str, style: str) -> None:
    assert isinstance(bare.json, DefaultJSONProvider)
    bare.json.sort_keys = False
    bare.json.ensure_ascii = False
    bare.json.compact = False
    bare.json.mimetype = "application/x+json"
    bare.json.default = lambda value: "set"
    install(bare, backend, style=style)

    response = bare.json.response({"b": "é", "a": object()})

    assert response.get_data(as_text=True) == '{\n  "b": "é",\n  "a": "set"\n}\n'
    assert response.mimetype == "application/x+json"


@pytest.mark.parametrize("style", STYLES)
def test_what_a_subclass_overrides_is_kept(bare: Flask, backend: str, style: str) -> None:
    bare.json = ProviderOfItsOwn(bare, "!")
    install(bare, backend, style=style)

    response = bare.json.response(b=object(), a=NAN)

    assert isinstance(bare.json, ProviderOfItsOwn)
    assert isinstance(bare.json, SafeJSONProvider)
    assert type(bare.json).__name__ == "SafeProviderOfItsOwn"
    assert response.get_data() == b'{"data":{"b":"object!","a":null}}\n'
    assert response.mimetype == "application/vnd.own+json"
    assert response.headers["X-Own"] == "!"
    with pytest.raises(InvalidJSONError):
        bare.json.loads("[NaN]")


@pytest.mark.parametrize(
    ("style", "rules", "expected"),
    [
        pytest.param("flask", {}, r'["\u00e9", {"a": 1, "b": 2}]', id="flask"),
        pytest.param("modern", {}, '["é",{"b":2,"a":1}]', id="modern"),
        pytest.param("flask", {"ensure_ascii": False}, '["é", {"a": 1, "b": 2}]', id="not ascii"),
        pytest.param("modern", {"sort_keys": True}, '["é",{"a":1,"b":2}]', id="sorted"),
    ],
)
def test_attributes_that_were_not_set_are_those_of_the_rules(
    bare: Flask, style: str, rules: dict[str, Any], expected: str
) -> None:
    install(bare, "stdlib", style=style, rules=rules)

    assert bare.json.dumps(["é", {"b": 2, "a": 1}]) == expected


def test_rules_go_before_what_was_set_on_the_provider(bare: Flask) -> None:
    assert isinstance(bare.json, DefaultJSONProvider)
    bare.json.sort_keys = False
    bare.json.ensure_ascii = False
    install(bare, "stdlib", rules={"sort_keys": True, "ensure_ascii": True})

    assert bare.json.dumps({"b": "é", "a": 1}) == r'{"a": 1, "b": "\u00e9"}'


def test_apps_have_rules_of_their_own() -> None:
    apps = [Flask(f"app {number}", static_folder=None) for number in range(3)]
    install(apps[0], "msgspec", style="modern")
    install(apps[1], "orjson", rules={"nan": "error"})
    install(apps[2], "ujson", rules={"bytes": "base64"})

    assert apps[0].json.dumps([NAN, "é"]) == '[null,"é"]'
    assert apps[2].json.dumps([NAN, b""]) == '[null, ""]'
    with pytest.raises(JSONValueError):
        apps[1].json.dumps(NAN)
    with pytest.raises(JSONTypeError):
        apps[0].json.dumps(b"")


def test_provider_class_of_the_app_is_kept() -> None:
    class Provider(DefaultJSONProvider):
        ensure_ascii = False

    class App(Flask):
        json_provider_class = Provider

    app = App("app", static_folder=None)
    install(app, "stdlib")

    assert isinstance(app.json, Provider)
    assert app.json.dumps(["é", NAN]) == '["é", null]'


def test_safe_provider_of_the_app_stays_safe(bare: Flask, caplog: pytest.LogCaptureFixture) -> None:
    class Provider(SafeJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(["own", obj], **kwargs)

    bare.json = Provider(bare)
    install(bare, "stdlib")

    assert bare.json.dumps(NAN) == '["own", null]'
    assert caplog.records == []


@pytest.mark.parametrize("provider_class", [OwnDumps, OwnLoads, OtherLibrary])
def test_provider_with_its_own_json_stays(
    bare: Flask, caplog: pytest.LogCaptureFixture, provider_class: type[JSONProvider]
) -> None:
    provider = bare.json = provider_class(bare)
    install(bare, "stdlib")

    assert bare.json is provider
    assert caplog.record_tuples == [
        (
            "flask_concurrency_guard.json",
            logging.WARNING,
            f"'{provider_class.__name__}' has its own dumps or loads and stays 'app.json', so"
            " JSON is not made safe; remove it, or set 'CONCURRENCY_GUARD_JSON_BACKEND' to None"
            " to say so.",
        )
    ]


def test_provider_with_its_own_dumps_set_on_the_instance_stays(
    bare: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    provider = bare.json
    provider.dumps = json.dumps  # type: ignore[method-assign]
    install(bare, "stdlib")

    assert bare.json is provider
    assert len(caplog.records) == 1


def test_unknown_backend_is_refused(bare: Flask) -> None:
    before = bare.json
    with pytest.raises(ConfigurationError) as caught:
        install(bare, "yaml")

    assert bare.json is before
    assert str(caught.value) == (
        "'CONCURRENCY_GUARD_JSON_BACKEND' must be one of 'stdlib', 'msgspec', 'orjson',"
        " 'simplejson', 'ujson', or None, got 'yaml'."
    )


@pytest.mark.parametrize("name", ["msgspec", "orjson", "simplejson", "ujson"])
def test_missing_library_says_what_to_install(
    bare: Flask, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"{backends.__name__}.{name}", raising=False)
    before, request_class = bare.json, bare.request_class
    with pytest.raises(ConfigurationError) as caught:
        install(bare, name, style="modern")

    assert (bare.json, bare.request_class) == (before, request_class)
    assert str(caught.value) == (
        f"'CONCURRENCY_GUARD_JSON_BACKEND' is '{name}', which can't be imported (import of {name}"
        f" halted; None in sys.modules): run 'pip install flask-concurrency-guard[{name}]', or"
        " choose 'stdlib'."
    )


def test_no_other_library_is_imported_than_the_one_that_is_used(
    bare: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("msgspec", "orjson", "simplejson", "ujson"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"{backends.__name__}.{name}", raising=False)
    install(bare, "stdlib")

    assert bare.json.dumps([NAN]) == "[null]"


@pytest.mark.parametrize("is_early", [False, True], ids=["environment later", "environment first"])
def test_templates_write_safe_json(bare: Flask, backend: str, is_early: bool) -> None:
    if is_early:
        assert bare.jinja_env
    install(bare, backend)

    with bare.app_context():
        html = render_template_string("{{ value|tojson }}", value=["</script>", NAN])

    assert html == '["\\u003c/script\\u003e", null]'


def test_install_does_not_create_the_template_environment(bare: Flask) -> None:
    install(bare, "stdlib")

    assert "jinja_env" not in vars(bare)


def test_dumps_that_the_app_chose_for_templates_stays(bare: Flask) -> None:
    def chosen(value: object, **options: object) -> str:
        return "chosen"

    bare.jinja_env.policies["json.dumps_function"] = chosen
    install(bare, "stdlib")

    assert bare.jinja_env.policies["json.dumps_function"] is chosen


@pytest.mark.parametrize("provider_class", [DefaultJSONProvider, SafeJSONProvider])
def test_app_is_not_kept_alive(provider_class: type[DefaultJSONProvider]) -> None:
    app = Flask("short", static_folder=None)
    app.json = provider_class(app)
    install(app, "stdlib")
    provider, reference = app.json, weakref.ref(app)

    del app
    gc.collect()

    assert reference() is None
    assert provider.dumps([NAN]) == "[null]"
