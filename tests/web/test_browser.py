"""The status page in a real browser."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = pytest.mark.servers

LIVE = "#state[data-state=live]"


def open_page(visit: Any, shop: Any, **options: Any) -> Page:
    page: Page = visit(f"{shop.url}/_guard", **options)
    page.wait_for_selector(LIVE)
    return page


@contextmanager
def waiting(shop: Any, *paths: str) -> Iterator[None]:
    """Have requests in flight."""
    threads = [
        threading.Thread(target=lambda path=path: urlopen(f"{shop.url}{path}").read())
        for path in paths
    ]
    for thread in threads:
        thread.start()
    yield
    shop.gate.set()
    for thread in threads:
        thread.join(20)


def test_it_shows_what_is_in_flight_as_it_comes_and_goes(visit: Any, shop: Any) -> None:
    page = open_page(visit, shop)
    page.wait_for_selector("text=Serving nothing.")
    assert page.title() == "shop – Concurrency Guard"
    with waiting(shop, "/wait/%3Cimg%20src=x%20onerror=alert(1)%3E?card=4711", "/wait/2"):
        expect(page.locator(".serving li")).to_have_count(2)
        served = sorted(page.locator(".serving .what").all_inner_texts())
        assert served == ["GET /wait/2", "GET /wait/<img src=x onerror=alert(1)>"]
        page.wait_for_selector(".limits .bar.is-full[aria-valuetext='2 of 2']")
        assert page.locator("#tile-flight").inner_text() == "2 of 2"
        assert "4711" not in page.content()
    page.wait_for_selector("text=Serving nothing.")
    page.wait_for_selector(".limits .is-flight .bar[aria-valuenow='0']")
    assert visit.wrong == []


def test_what_was_served_and_rejected_shows_in_figures_charts_and_table(
    visit: Any, shop: Any
) -> None:
    client = shop.app.test_client()
    with waiting(shop, "/wait/1", "/wait/2"):
        page = open_page(visit, shop)
        page.wait_for_selector("#tile-flight:has-text('2 of 2')")
        for _ in range(7):
            assert client.get("/x").status_code == 503
        page.wait_for_selector(".rejected:has-text('7 rejected')")
    page.wait_for_selector("#tile-rejected:has-text('0.7 /s')")
    page.wait_for_selector("svg.plot[aria-label^='Rejected'] path.stroke", state="attached")
    assert page.locator("svg.plot").count() == 4
    page.click("text=As a table, by minute")
    assert page.locator("#minutes tr").count() >= 1
    # The least is nothing as soon as there is a second sample.
    expect(page.locator("svg.plot").nth(1)).to_have_attribute(
        "aria-label",
        re.compile(r"^Rejected over the last ten minutes\. rejected: from 0/s to \d"),
        timeout=20_000,
    )
    assert visit.wrong == []


@pytest.mark.parametrize(
    "config",
    [
        {
            "CONCURRENCY_GUARD_PARTITIONS": {
                "live": {"share": 0.5, "match": "/wait/live*"},
                "batch": {"share": 0.5, "match": "/wait/batch*"},
            }
        }
    ],
)
def test_who_uses_how_much_of_its_share_is_shown(visit: Any, shop: Any) -> None:
    page = open_page(visit, shop)
    shares = page.locator(".limits .shares")
    expect(shares).to_have_text("In flight, of what is guaranteed: live 0 of 1, batch 0 of 1")
    with waiting(shop, "/wait/live1", "/wait/live2"):
        expect(shares).to_have_text("In flight, of what is guaranteed: live 2 of 1, batch 0 of 1")
    assert visit.wrong == []


@pytest.mark.skipif(sys.platform != "linux", reason="host scope needs Linux")
@pytest.mark.parametrize(
    "config",
    [{"CONCURRENCY_GUARD_SCOPE": "host", "CONCURRENCY_GUARD_ON_STORE_ERROR": "open"}],
)
def test_a_store_that_is_down_is_shown(visit: Any, shop: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.host").unlink()
    (tmp_path / "shop.host").mkdir()
    page = open_page(visit, shop)
    expect(page.locator(".limits .alarm")).to_have_text(
        "The store is down in 1 of 1 worker, and each admits everything:"
        f" '{tmp_path / 'shop.host'}' can't be opened (Is a directory)"
    )
    assert visit.wrong == []


def test_before_anybody_tells_it_says_so(visit: Any, shop: Any) -> None:
    publisher = shop.app.extensions["concurrency_guard"].status.publisher
    publisher._thread = threading.current_thread()  # As if it had not begun yet.
    page = open_page(visit, shop)
    assert page.locator("#notice").inner_text() == (
        "No worker has told anything yet. Each begins with its first request, and tells its"
        " figures a second later."
    )
    assert page.locator("#content").is_hidden()
    publisher._thread = None
    publisher.start()
    page.wait_for_selector("#content:visible")
    assert page.locator("#notice").is_hidden()
    assert visit.wrong == []


def test_it_says_when_the_server_does_not_answer_and_goes_on_when_it_does(
    visit: Any, shop: Any
) -> None:
    page = open_page(visit, shop)
    page.wait_for_selector("#content:visible")
    shop.stop()
    page.wait_for_selector("#state[data-state=error]")
    assert page.locator("#state-text").inner_text().startswith("No answer since ")
    assert page.locator("#notice").inner_text() == (
        "The server doesn't answer. What is shown is old."
    )
    shop.start()
    page.wait_for_selector(LIVE)
    assert page.locator("#notice").is_hidden()
    page.route("**/figures", lambda route: route.fulfill(status=404))
    page.wait_for_selector("#state[data-state=error]")
    assert page.locator("#state-text").inner_text() == "You may not see this any more"


def test_while_nobody_looks_it_does_not_ask(visit: Any, shop: Any) -> None:
    page = open_page(visit, shop, with_clock=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    fire = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + fire)
    page.wait_for_selector("#state[data-state=paused]")
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate(hide % "false" + fire)
    page.wait_for_selector(LIVE)
    asked.clear()
    with page.expect_request("**/figures"):
        page.clock.run_for(2_000)
    assert asked != []


CONTRAST = """
() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const light = (colour) => {
    context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
  };
  const found = [];
  let checked = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    checked += 1;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(colour), light(ground(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) found.push([element.textContent, contrast]);
  }
  return [found, getComputedStyle(document.body).backgroundColor, checked > 100];
}
"""


def test_everything_can_be_seen_and_read(visit: Any, shop: Any) -> None:
    """At a desk in the light, and on a small phone in the dark."""
    with waiting(shop, "/wait/" + "x" * 300, "/wait/2"):
        page = open_page(visit, shop, color_scheme="light")
        expect(page.locator(".serving li")).to_have_count(2)
        page.wait_for_selector(".limits .bar.is-full")
        page.click("text=As a table, by minute")
        page.click("#settings > summary")
        token = page.locator("#settings-rows tr", has_text="STATUS_TOKEN").locator("td")
        expect(token).to_have_text(["STATUS_TOKEN", "set, and not shown", "yes"])
        size = "[document.documentElement.scrollWidth, innerWidth]"
        assert page.evaluate(size) == [1120, 1120]
        assert page.evaluate(CONTRAST) == [[], "rgb(246, 246, 244)", True]
        page.set_viewport_size({"width": 320, "height": 700})
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(size) == [320, 320]
        assert page.evaluate(CONTRAST) == [[], "rgb(18, 20, 23)", True]
    assert visit.wrong == []


def test_it_can_be_used_by_keyboard_and_screen_reader(visit: Any, shop: Any) -> None:
    page = open_page(visit, shop, reduced_motion="reduce")
    expect(page.locator("#moment")).to_have_attribute("max", re.compile("[2-9]"))
    for role in ("banner", "main", "contentinfo", "status"):
        assert page.get_by_role(role).count() == 1, role  # type: ignore[arg-type]
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[1:4] == ["Limits", "The last ten minutes", "Workers"]
    assert page.get_by_role("meter", name="In flight").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    page.get_by_role("slider", name="Look at").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#moment-text").inner_text().count(":") == 2
    assert page.locator("svg.plot .cursor").count() == 4
    page.keyboard.press("End")
    assert page.locator("#moment-text").inner_text() == "now"
    duration = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
    assert page.evaluate(duration) == "0s"
    assert visit.wrong == []
