from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from flask_concurrency_guard.observe.requests import name_of
from flask_concurrency_guard.observe.requests import path_of


def environ(path: str, **more: Any) -> dict[str, Any]:
    return EnvironBuilder(path).get_environ() | more


@pytest.mark.parametrize(
    ("request_environ", "name"),
    [
        pytest.param(environ("/café\x07"), "GET /café?", id="control-character"),
        pytest.param(environ("/", PATH_INFO="/\xff"), "GET /\ufffd", id="no-utf-8"),
        pytest.param(environ("/x", REQUEST_METHOD="PUT\x1b[31m"), "PUT?[31m /x", id="odd-method"),
        pytest.param(environ("/x", REQUEST_METHOD="M" * 99), f"{'M' * 20} /x", id="long-method"),
        pytest.param(environ("/" + "é" * 199), f"GET /{'é' * 199}", id="as-long-as-it-may-be"),
        pytest.param(environ("/" + "é" * 200), f"GET /{'é' * 198}…", id="longer"),
        pytest.param(environ("/x", SCRIPT_NAME="/shop"), "GET /shop/x", id="mounted"),
        pytest.param(environ("/x?a=1"), "GET /x", id="query"),
        pytest.param({"REQUEST_METHOD": "GET"}, "GET ", id="no-path"),
    ],
)
def test_a_request_is_named_by_its_method_and_path(
    request_environ: dict[str, Any], name: str
) -> None:
    assert name_of(request_environ) == name


def test_a_query_string_is_shown_only_if_it_may_be() -> None:
    assert name_of(environ("/x?a=1"), show_query=True) == "GET /x?a=1"
    assert name_of(environ("/x"), show_query=True) == "GET /x"
    assert path_of(environ("/x?a=1"), show_query=True) == "/x?a=1"


def test_a_path_is_what_the_server_has_sent() -> None:
    assert path_of(environ("/café\x07")) == "/caf\xc3\xa9\x07"
    assert path_of({}) == ""
