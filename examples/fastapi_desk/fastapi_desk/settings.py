"""Which database and which policy: from the environment, for the pages and for the sweeper alike."""

from __future__ import annotations

import os

from casestate import Clock, Workflow, load_policy
from casestate.clock import utc_now
from fastapi_desk.cases import Desk
from fastapi_desk.models import connect


def desk(clock: Clock = utc_now) -> Desk:
    """The desk that the environment describes. Whoever asks for it disposes of its engine."""
    workflow = Workflow(load_policy(os.environ.get("DESK_POLICY", "open-resolved")), clock)
    engine = connect(os.environ.get("DESK_DATABASE", "sqlite:///desk.sqlite3"))
    return Desk(engine, workflow, url=os.environ.get("DESK_URL", "http://127.0.0.1:8000"))
