"""What some tests need beside Python: database servers, a browser, a JVM.

Where it is absent they are skipped with a reason; with ``CASESTATE_NEVER_SKIP`` in the
environment, as in ``.ci/run``, its absence is a failure.
"""

from __future__ import annotations

import os

from typing import NoReturn

import pytest


def absent(what: str, remedy: str) -> NoReturn:
    """Skip the test that needs ``what``, or fail where nothing may be skipped."""
    reason = f"{what} is not there: {remedy}"
    if os.environ.get("CASESTATE_NEVER_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)
