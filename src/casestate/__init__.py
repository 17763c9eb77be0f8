"""Support-case workflows as data, and what is due at an instant you name.

Two documented workflows ship as policies; a `Workflow` runs one. It tells what
an event does to a case and which reminders, notifications and closures are due.
The caller sends and closes, then settles.
"""

from casestate import policies
from casestate.calendars import Calendar, Length
from casestate.case import Action, Case, Change
from casestate.clock import Clock, ManualClock, utc_now
from casestate.errors import (
    CaseDataError,
    CasestateError,
    EventRefused,
    InstantError,
    LogError,
    MissingArgument,
    NaiveTimeError,
    NotDue,
    PolicyError,
    Problem,
    StaleAction,
    TimeOrderError,
    UnknownEvent,
    UnknownRole,
    UnknownStatus,
)
from casestate.loading import load_policy
from casestate.policy import Policy
from casestate.schedule import Cutoff
from casestate.workflow import Explanation, Workflow


__all__ = [
    "Action",
    "Calendar",
    "Case",
    "CaseDataError",
    "CasestateError",
    "Change",
    "Clock",
    "Cutoff",
    "EventRefused",
    "Explanation",
    "InstantError",
    "Length",
    "LogError",
    "ManualClock",
    "MissingArgument",
    "NaiveTimeError",
    "NotDue",
    "Policy",
    "PolicyError",
    "Problem",
    "StaleAction",
    "TimeOrderError",
    "UnknownEvent",
    "UnknownRole",
    "UnknownStatus",
    "Workflow",
    "load_policy",
    "policies",
    "utc_now",
]
