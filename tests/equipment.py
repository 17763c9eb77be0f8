"""What some tests need beside Python: database servers, a browser, a JVM.

Where it is absent they are skipped with a reason; with ``CASESTATE_NEVER_SKIP`` in the
environment, as in ``.ci/run``, its absence is a failure.
"""

from __future__ import annotations

import os
import shutil

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest


if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession
    from selenium.webdriver import Chrome


def absent(what: str, remedy: str) -> NoReturn:
    """Skip the test that needs ``what``, or fail where nothing may be skipped."""
    reason = f"{what} is not there: {remedy}"
    if os.environ.get("CASESTATE_NEVER_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


def need_java() -> None:
    """Skip the test, or fail, where there is no JVM."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        absent("Java", "install a JRE, such as Debian's openjdk-17-jre-headless")


@contextmanager
def spark_session() -> Iterator[SparkSession]:
    """A session of Spark with two threads, whose clocks are turned in March and November."""
    need_java()
    from pyspark.sql import SparkSession  # noqa: PLC0415 - it starts a JVM

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "America/New_York")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def chromium(
    *arguments: str, prefs: dict[str, int] | None = None, logs: dict[str, str] | None = None
) -> Iterator[Chrome]:
    """A chromium without a window."""
    binary, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or chromedriver is None:
        absent("chromium", "apt-get install chromium chromium-driver")
    from selenium import webdriver  # noqa: PLC0415 - few tests need it

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *arguments,
    ):
        options.add_argument(argument)
    if prefs is not None:
        options.add_experimental_option("prefs", prefs)
    if logs is not None:
        options.set_capability("goog:loggingPrefs", logs)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()
