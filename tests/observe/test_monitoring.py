"""The dashboard and the alerts of the examples use what is really exported, and are valid."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from support import hold
from support import make_app

MONITORING = Path(__file__).parents[2] / "examples" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def used() -> str:
    files = (MONITORING / name for name in ("alerts.yml", "alerts.test.yml"))
    return "\n".join([*expressions(), *(file.read_text("utf-8") for file in files)])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the names of all samples that there can be, and their labels."""
    shared = {"limit": 1, "scope": "host", "match": "/shared/*"}
    app, _ = make_app(
        metrics="prometheus",
        limit=1,
        max_wait=0.001,
        trust_request_start=True,
        codel_target=None,
        limits={"shared": shared},
        dir=str(tmp_path_factory.mktemp("shared")),
        name="monitoring",
    )
    with hold(app, "/shared/x"):
        old = {"X-Request-Start": f"t={time.time() - 0.1:.3f}"}
        app.test_client().get("/y", headers=old, buffered=True)
        app.test_client().get("/y", buffered=True)
    found: dict[str, set[str]] = {}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name.startswith("concurrency_guard_"):
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_they_use_what_is_exported(exported: dict[str, set[str]]) -> None:
    names = set(re.findall(r"\bconcurrency_guard_\w+", used()))
    assert names <= set(exported)
    # And leave nothing out that one would want to see.
    families = {name for name in exported if not name.endswith(("_count", "_sum", "_created"))}
    assert names == families


def test_they_use_labels_that_there_are(exported: dict[str, set[str]]) -> None:
    for name, selector in re.findall(r"\b(concurrency_guard_\w+)\{([^}]*)\}", used()):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))
        assert labels - {"job", "instance"} <= exported[name]
    for by, name in re.findall(r"by \(([^)]*)\) \((?:rate\()?(concurrency_guard_\w+)", used()):
        assert {label.strip() for label in by.split(",")} - {"job"} <= exported[name]


def test_the_page_names_them_all(exported: dict[str, set[str]]) -> None:
    rows = re.findall(
        r"^\| `(concurrency_guard_\w+)` \| `(\S+)` \| (.*?) \|", PAGE.read_text(), re.M
    )
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    assert documented == {
        name.removesuffix("_bucket"): labels - {"le"}
        for name, labels in exported.items()
        if not name.endswith(("_count", "_sum", "_created"))
    }


def test_panels_lie_beside_each_other() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at: Any = panel["gridPos"]
        here = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not here & cells
        assert at["x"] + at["w"] <= 24
        cells |= here
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


@needs_promtool
def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expression.replace("$__rate_interval", "5m").replace("$job", ".*"),
        }
        for number, expression in enumerate(expressions())
    ]
    # Any JSON is YAML.
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


@needs_promtool
@pytest.mark.parametrize(
    "command", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")], ids=str
)
def test_alerts_are_valid_and_come_when_they_should(command: tuple[str, ...]) -> None:
    promtool(*command)


def promtool(*command: str) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=MONITORING, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
