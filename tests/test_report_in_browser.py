"""The page about a replay in a real browser without a network: drawn whole, in narrow windows and in wide."""

from __future__ import annotations

import json

from typing import TYPE_CHECKING, Any

import pytest

from selenium.webdriver.common.by import By

import real_log

from casestate import policies
from casestate.report import report
from equipment import chromium
from test_report import INPUT, LOG, NASTY, nasty_policy, row, summary_of


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome

    from casestate import Policy
    from casestate.replay import Summary

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    """A chromium without a window that keeps what it would ask the network for, and what went wrong."""
    logs = {"browser": "ALL", "performance": "ALL"}
    with chromium("--proxy-server=127.0.0.1:9", logs=logs) as driver:  # where nobody answers
        yield driver


class Window:
    """A page that has been opened from a file."""

    def __init__(self, driver: Chrome, path: Path, html: str) -> None:
        self.driver = driver
        path.write_text(html, encoding="utf-8")
        driver.get_log("performance")  # type: ignore[no-untyped-call]  # selenium's own has no annotation
        driver.get_log("browser")  # type: ignore[no-untyped-call]  # likewise
        driver.get(path.as_uri())

    def script(self, program: str) -> Any:  # noqa: ANN401 - what the program returns
        return self.driver.execute_script(program)

    def make_wide(self, width: int) -> None:
        """Give the page exactly this width, and time to draw itself anew."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        self.driver.execute_async_script(
            "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => done()), 500)"
        )

    def complaints(self) -> list[str]:
        """What the browser's console says."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def asked_for(self) -> list[str]:
        """The address of everything that was asked for, the page itself too, unless its policy forbade it."""
        found: dict[str, str] = {}
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            params = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                found[params["requestId"]] = params["request"]["url"]
            if message["method"] == "Network.loadingFailed" and params.get("blockedReason") == "csp":
                found.pop(params["requestId"])
        return [url for url in found.values() if not url.startswith("data:")]

    def count(self, css: str) -> int:
        return len(self.driver.find_elements(By.CSS_SELECTOR, css))

    def texts(self, css: str) -> list[str]:
        """The texts of the elements, letter by letter."""
        found: list[str] = self.script(
            f"return Array.from(document.querySelectorAll({css!r}), (each) => each.textContent)"
        )
        return found

    def overflow(self) -> int:
        """By how much the page is wider than its window."""
        found: int = self.script(
            "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
        )
        return found


LENGTHS = {"close_pending": [7, 14, 45]}


@pytest.fixture
def window(driver: Chrome, tmp_path: Path) -> Window:
    summary = summary_of(policies.SUB_STATUS, LOG, LENGTHS)
    return Window(driver, tmp_path / "report.html", report(summary, policies.SUB_STATUS))


def drawn_points(window: Window, chart: str, trace: int) -> int:
    """How many corners a step curve of a chart has been drawn with."""
    path: str = window.script(
        f"return document.querySelectorAll('#{chart} .scatterlayer .js-line')[{trace}].getAttribute('d')"
    )
    return sum(path.count(letter) for letter in "MLHV")


def test_every_chart_is_drawn_with_all_that_it_has_to_show(window: Window) -> None:
    summary = summary_of(policies.SUB_STATUS, LOG, LENGTHS)
    bars = sum(len(timer.months) for timer in summary.timers)
    assert bars == 7
    assert window.count("#actions .barlayer .point > path") == bars
    assert window.count("#closures .barlayer .point > path") == 3 * 2
    assert window.count("#what-if-1 .scatterlayer .point") == 3 * 3 + 2
    ended = [each for each in summary.times if each.ended]
    assert window.count("#times .scatterlayer .point") == len(ended) == 5
    assert window.count("#reply-1 .shapelayer path") == 2
    # Two replies: across and up, twice, from where it begins.
    assert drawn_points(window, "reply-1", 2) == 5
    assert window.complaints() == []


@pytest.mark.parametrize("width", [380, 400, 700, 1400, 2200])
def test_nothing_is_wider_than_the_window(window: Window, width: int) -> None:
    window.make_wide(width)
    assert window.script("return innerWidth") == width
    assert window.overflow() == 0
    charts = window.script(
        "return Array.from(document.querySelectorAll('.chart .main-svg'), (each) => "
        "[each.getBoundingClientRect().right, each.closest('section').getBoundingClientRect().right])"
    )
    assert len(charts) >= 5
    assert all(right <= edge for right, edge in charts)
    # What is wider than the page can be scrolled to by keyboard, and only that is stopped at.
    window.script("for (const each of document.querySelectorAll('details')) each.open = true")
    window.make_wide(width)
    stops = window.script(
        "return Array.from(document.querySelectorAll('.scroll'), (each) => "
        "[each.scrollWidth > each.clientWidth, each.tabIndex])"
    )
    assert window.overflow() == 0
    assert all((index == 0) == wide for wide, index in stops)
    assert any(wide for wide, _ in stops) == (width < 1400)


def test_the_page_asks_for_nothing_but_itself(window: Window) -> None:
    window.make_wide(1000)
    assert [url.rpartition("/")[2] for url in window.asked_for()] == ["report.html"]
    # The policy of the page is in force: a script of nobody's does not run, and nothing is fetched.
    window.script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        "document.body.append(script);"
        "const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x';"
        "document.body.append(image)"
    )
    assert window.script("return window.ran === undefined")
    window.make_wide(1000)
    complaints = window.complaints()
    assert len(complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in complaints)
    assert window.asked_for() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_charts_follow_the_colours_of_the_page(window: Window, scheme: str) -> None:
    window.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    ink = window.script("return getComputedStyle(document.body).color")
    texts = window.script(
        "return Array.from(document.querySelectorAll('.chart text'), (each) => getComputedStyle(each).fill)"
    )
    assert len(texts) > 20
    assert set(texts) == {ink}
    assert ink == {"light": "rgb(27, 31, 36)", "dark": "rgb(230, 233, 238)"}[scheme]


def test_on_paper_everything_is_open_and_closed_again_afterwards(window: Window) -> None:
    folded = window.count("details")
    assert folded >= 4
    assert window.count("details[open]") == 0
    window.script("dispatchEvent(new Event('beforeprint'))")
    assert window.count("details[open]") == folded
    widths = window.script(
        "return Array.from(document.querySelectorAll('.chart'), (each) => "
        "each.querySelector('.main-svg').getAttribute('width'))"
    )
    assert set(widths) == {"660"}
    window.script("dispatchEvent(new Event('afterprint'))")
    assert window.count("details[open]") == 0
    assert window.complaints() == []


def test_texts_that_attack_the_page_are_drawn_letter_by_letter(driver: Chrome, tmp_path: Path) -> None:
    policy = nasty_policy()
    log = [row("A", 0, "new"), row("A", 1, INPUT), row("A", 50, "in_progress"), row("A", 90, "closed")]
    html = report(summary_of(policy, log, LENGTHS), policy, title=NASTY)
    window = Window(driver, tmp_path / "nasty.html", html)
    assert window.count("img, body > b, .chart b, .chart a, section b") == 0
    seen = NASTY.replace("\u202e", "\\u202e")
    [label] = {text for text in window.texts("#times .annotation-text tspan") if text.startswith("</script>")}
    assert seen.startswith(label.removesuffix("…"))
    assert window.texts("h1") == [seen]
    assert seen in window.texts("h3")[0]
    assert window.complaints() == []


def the_real_log() -> tuple[Summary, Policy]:
    lengths = {"close_pending": [7, 14, 21, 28]}
    found = summary_of(policies.SUB_STATUS, real_log.rows(), lengths, mapping=real_log.mapping("sub-status"))
    return found, policies.SUB_STATUS


@real_log.needs_the_log
@pytest.mark.parametrize("width", [400, 1400])
def test_a_real_log_is_drawn_whole_as_well(driver: Chrome, tmp_path: Path, width: int) -> None:
    summary, policy = the_real_log()
    window = Window(driver, tmp_path / "real.html", report(summary, policy))
    window.make_wide(width)
    assert window.overflow() == 0
    assert window.count("#actions .barlayer .point > path") == sum(
        len(timer.months) for timer in summary.timers
    )
    assert window.count("#times .scatterlayer .point") == 7
    assert window.count("#what-if-1 .scatterlayer .point") == 4 * 4
    assert 100 < drawn_points(window, "reply-1", 2) <= 802
    assert window.complaints() == []
