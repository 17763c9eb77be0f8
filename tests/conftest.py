"""Hypothesis profiles: ``ci``, the default, tries the same examples in every run; ``thorough`` many new ones.

The environment variable ``HYPOTHESIS_PROFILE`` chooses.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


pytest_plugins = ("postgres",)

settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough",
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
