"""``examples/fastapi_desk`` as people meet it: a server, a sweeper, a browser, in SQLite and PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from equipment import chromium


if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytest_plugins = ("postgres",)
pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[1]
DESK = ROOT / "examples" / "fastapi_desk"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'desk.sqlite3'}"
    url: str = request.getfixturevalue("database_url")
    return url


@contextmanager
def server(database: str, policy: str) -> Iterator[str]:
    """The address of a server that runs as the README says, on a free port."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "fastapi_desk.app:from_environment"]
    command += ["--port", "0", "--no-access-log"]
    env = os.environ | {"DESK_DATABASE": database, "DESK_POLICY": policy}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=DESK, env=env) as process:
        try:
            assert process.stderr is not None
            said = iter(process.stderr.readline, "")
            address = next(
                filter(None, (re.search(r"running on (http://127\.0\.0\.1:\d+)", each) for each in said))
            )
            yield address[1]
        finally:
            process.terminate()
            rest = process.communicate(timeout=30)[1]
    assert "Traceback" not in rest


class Browser:
    """A window, and what a person does there."""

    def __init__(self, driver: Chrome, home: str) -> None:
        self.driver = driver
        self.home = home

    def goes_to(self, path: str) -> None:
        self.driver.get(self.home + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.home)

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def field(self, label: str) -> WebElement:
        """What a label stands for, as people who do not see the page find it."""
        found = self.driver.find_element(By.XPATH, f"//label[starts-with(normalize-space(), '{label}')]")
        return self.driver.find_element(By.ID, str(found.get_attribute("for")))

    def types(self, label: str, words: str) -> None:
        self.field(label).send_keys(words)

    def presses(self, name: str) -> None:
        """Press a button or follow a link, and wait for the page that comes."""
        old = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(
            By.XPATH, f"//button[normalize-space()='{name}'] | //a[normalize-space()='{name}']"
        ).click()
        WebDriverWait(self.driver, 20).until(lambda _: self._is_gone(old))

    @staticmethod
    def _is_gone(element: WebElement) -> bool:
        try:
            element.is_enabled()
        except Exception:  # noqa: BLE001 - how a driver says that is its own business
            return True
        return False

    def chooses(self, action: str) -> None:
        self.field(action).click()

    def opens_a_case(self, subject: str) -> str:
        """As a customer; where the case is."""
        self.goes_to("/")
        self.types("Your e-mail address", "ada@example.org")
        self.types("Subject", subject)
        self.types("What has happened?", "Since yesterday the export stops after 10,000 rows.")
        self.presses("Open a case")
        return self.path


@pytest.fixture
def driver() -> Iterator[Chrome]:
    """A chromium without a window, and without JavaScript: the pages do not need it."""
    with chromium(prefs={"profile.managed_default_content_settings.javascript": 2}) as driver:
        yield driver


def sweep(database: str, policy: str, now: str, folder: Path) -> list[str]:
    """One pass of the sweeper, as a process; what it says it has done."""
    command = [sys.executable, "-m", "fastapi_desk.sweeper", "--once", "--now", now, "--mail-to", str(folder)]
    env = os.environ | {"DESK_DATABASE": database, "DESK_POLICY": policy}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=DESK, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_customer_and_an_agent_meet(database: str, driver: Chrome, tmp_path: Path) -> None:
    with server(database, "open-resolved") as home:
        browser = Browser(driver, home)
        case = browser.opens_a_case("The <b>export</b> stops")
        assert "New" in browser.text
        assert "The <b>export</b> stops" in browser.text

        browser.goes_to("/agent")
        browser.types("You are", "mira")
        browser.presses("Set")
        browser.presses("The <b>export</b> stops")
        assert browser.path == "/agent" + case
        browser.chooses("Assign")
        browser.presses("Save")
        assert "assigned to mira" in browser.text
        browser.chooses("Ask the customer")
        browser.types("Text", "Which version is it?")
        browser.presses("Save")

        browser.goes_to(case)
        assert "Which version is it?" in browser.text
        assert re.search(r"This case closes on \d+ \w+ \d{4}, \d\d:\d\d UTC unless you reply\.", browser.text)
        browser.types("Your message", "It is 7.1.")
        browser.presses("Send the comment")
        assert "now Open" in browser.text

        browser.goes_to("/agent" + case)
        assert "It is 7.1." in browser.text
        browser.chooses("Resolve")
        browser.types("Text", "7.2 has the remedy.")
        browser.presses("Save")

        # The customer looks, and goes for a coffee; the case closes by itself in the meantime.
        browser.goes_to(case)
        assert "unless you reply" in browser.text
        browser.types("Your message", "It still stops.")
        done = sweep(database, "open-resolved", "2500-01-01T00:00:00Z", tmp_path / "outbox")
        assert [line.rpartition(":")[2] for line in done] == ["close_resolved"]
        browser.presses("Send the comment")
        assert "Nothing has been stored. The case has changed since you opened this page." in browser.text
        assert "Closed" in browser.text
        assert browser.field("Your message").get_attribute("value") == "It still stops."
        assert "Possible now: Send the comment, Reopen the case." in browser.text


def test_a_case_waits_is_answered_and_is_closed_for_good(
    database: str, driver: Chrome, tmp_path: Path
) -> None:
    with server(database, "sub-status") as home:
        browser = Browser(driver, home)
        case = browser.opens_a_case("How do I add a colleague?")
        browser.goes_to("/agent" + case)
        browser.chooses("Set to pending")
        browser.presses("Save")
        assert "Nothing has been stored. Choose what the case waits for" in browser.text
        Select(browser.field("Sub-status")).select_by_visible_text("Customer Input")
        browser.types("Text", "Which role is she to have?")
        browser.presses("Save")
        assert "Pending: Customer Input" in browser.text
        assert "a reminder to the customer" in browser.text

        browser.goes_to(case)
        browser.types("Your message", "She reads.")
        browser.presses("Send the comment")
        browser.goes_to("/agent" + case)
        assert "Update Received" in browser.text
        browser.chooses("Close")
        browser.presses("Save")

        browser.goes_to(case)
        assert "Closed" in browser.text
        browser.types("Your message", "And now she is to write.")
        browser.presses("Open a follow-up case (clone)")
        assert browser.path != case
        assert "it follows" in browser.text
        done = sweep(database, "sub-status", "2500-01-01T00:00:00Z", tmp_path / "outbox")
        assert [line.rpartition(":")[2] for line in done] == ["notify_closed", "notify_closed"]
        assert [line.partition(":")[0] for line in done] == ["settled", "sent"]
        assert len(list((tmp_path / "outbox").iterdir())) == 1


def test_all_of_the_desks_own_tests_hold_in_postgresql(database_url: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not heavy", "examples/fastapi_desk"]
    env = os.environ | {"DESK_TEST_DATABASE": database_url}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)
