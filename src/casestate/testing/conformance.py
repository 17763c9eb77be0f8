"""A helpdesk of one's own beside the reference: the same stories happen to both, and are compared.

`conformance` makes a test case class. It draws stories: events by every role,
permitted or not; time that passes; sweeps that come late, come twice, crash, or meet
a reply. Each happens to the desk and to a `Workflow`. Where the two part, what need not be
told is left out of the story, and the rest is told.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from unittest import TestCase

import hypothesis

from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky

from casestate.errors import Problem, shown
from casestate.policy import Policy
from casestate.testing.helpdesk import OPTIONAL, HelpdeskError, wrong_methods
from casestate.testing.reference import Reference
from casestate.testing.stories import simpler, stories
from casestate.testing.telling import TICK, Parted, Story, Telling


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from casestate.testing.helpdesk import Factory, Helpdesk

__all__ = ["conformance"]

__unittest = True
"""Keeps our frames out of the tracebacks that unittest prints."""

EXAMPLES: Final = 100
MOST_TRIES: Final = 1000
"""How often a story is told again to see what can be left out of it."""


def conformance(
    policy: Policy,
    factory: Factory,
    *,
    examples: int | None = None,
    seed: int | None = None,
    settings: hypothesis.settings | None = None,
    resolution: timedelta = TICK,
) -> type[TestCase]:
    """A test case class that runs a helpdesk of your own beside the reference, through random stories.

    ``factory()`` returns a new, empty desk: see `Helpdesk`. Give the class a name in a test
    module, where pytest and unittest find it::

        TestMyDesk = conformance(policies.SUB_STATUS, MyDesk)

    A desk that parts from the policy fails with a shortest story of how. What the desk
    raises, refusals aside, is part of the story, and the ``__cause__`` of the failure.

    ``examples`` is how many stories are tried (100, or what ``settings`` say). With a ``seed`` they are
    the same in every run that loads the same modules; without one, that is for ``settings`` or the
    profile in force to say. ``resolution`` is the shortest time that the desk's clock and columns tell
    apart, a microsecond or, say, ``timedelta(seconds=1)``.

    Raises `HelpdeskError` with everything that is wrong with the arguments. A desk that lacks a
    method, or has one that cannot be called as it has to be, fails its test with the same error.
    """
    problems = [*_wrong_arguments(policy, factory, examples, seed, settings, resolution)]
    if problems:
        raise HelpdeskError("conformance", problems)
    name = getattr(factory, "__name__", "")
    name = name if name.isidentifier() else "the desk"

    def test_it_does_what_the_policy_says(self: TestCase) -> None:  # noqa: ARG001 - a method of the class below
        __tracebackhide__ = True
        _Conformance(policy, factory, name, resolution).check(examples, seed, settings)

    words = policy.name.replace("-", "_").split("_")
    made = type(
        f"{''.join(word.capitalize() for word in words)}Conformance",
        (TestCase,),
        {
            "__doc__": f"{name} does what the policy {policy.name!r} says.",
            "__module__": getattr(factory, "__module__", None) or __name__,
            "test_it_does_what_the_policy_says": test_it_does_what_the_policy_says,
        },
    )
    return cast("type[TestCase]", made)


def _wrong_arguments(
    policy: object, factory: object, examples: object, seed: object, settings: object, resolution: object
) -> Iterator[Problem]:
    if not isinstance(policy, Policy):
        yield Problem("policy", f"must be a Policy (see load_policy), not {shown(policy)}")
    if not callable(factory):
        yield Problem(
            "factory", f"must be something to call that returns a new helpdesk, not {shown(factory)}"
        )
    if examples is not None and (not _is_whole(examples) or cast("int", examples) < 1):
        yield Problem("examples", f"must be a whole number from 1 on, not {shown(examples)}")
    if seed is not None and not _is_whole(seed):
        yield Problem("seed", f"must be a whole number, not {shown(seed)}")
    if settings is not None and not isinstance(settings, hypothesis.settings):
        yield Problem("settings", f"must be hypothesis.settings, not {shown(settings)}")
    if not isinstance(resolution, timedelta) or not TICK <= resolution <= timedelta(days=1):
        yield Problem(
            "resolution", f"must be a timedelta from a microsecond to a day, not {shown(resolution)}"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _Conformance:
    """One desk beside one policy."""

    def __init__(self, policy: Policy, factory: Factory, name: str, resolution: timedelta) -> None:
        self.reference = Reference(policy)
        self.factory = factory
        self.name = name
        self.resolution = resolution

    def check(self, examples: int | None, seed: int | None, settings: hypothesis.settings | None) -> None:
        """Try stories until one fails; raise it, as short as it can be."""
        __tracebackhide__ = True
        base: Any = settings or hypothesis.settings.default
        phases: list[Phase] = [phase for phase in base.phases if phase not in (Phase.shrink, Phase.explain)]
        with ExitStack() as stack:
            offers = self.checked(self.desk(stack))

        def tell(story: Story) -> None:
            self.tell(story, offers)

        # Part of the key of Hypothesis' database, and of its seed where that is derived.
        tell.__annotations__["story"] = f"{self.reference.policy.name} {self.name}"
        test = hypothesis.given(stories(self.reference, offers))(tell)
        if seed is not None:
            test = hypothesis.seed(seed)(test)
            base = hypothesis.settings(base, derandomize=False, database=None)
        test = hypothesis.settings(
            base,
            max_examples=examples or (base.max_examples if settings else EXAMPLES),
            deadline=None,
            report_multiple_bugs=False,
            phases=phases,
            suppress_health_check=[*base.suppress_health_check, HealthCheck.too_slow],
        )(test)
        try:
            test()
        except Parted as parted:
            told = self.shortest(parted, offers)
            raise AssertionError(str(told)) from told.__cause__
        except Flaky as flaky:
            raise AssertionError(
                f"{self.name} did something else when the same story was told to it again: a factory "
                "returns a new, empty desk every time, and a desk goes by the instants that it is given"
            ) from flaky

    def tell(self, story: Story, offers: Iterable[str]) -> None:
        """Tell a story to a new desk. Raises `Parted`."""
        with ExitStack() as stack:
            desk = self.desk(stack)
            Telling(self.reference, desk, offers, self.name, self.resolution).tell(story)

    def shortest(self, parted: Parted, offers: Iterable[str]) -> Parted:
        """What is left of a story if everything is left out that can be.

        Hypothesis could shrink it as well, but does not know what its numbers mean.
        """
        tries = simpler(parted.beginning, parted.done)
        for _ in range(MOST_TRIES):
            story = next(tries, None)
            if story is None:
                break
            try:
                self.tell(story, offers)
            except Parted as shorter:
                parted = shorter
                tries = simpler(parted.beginning, parted.done)
        return parted

    def desk(self, stack: ExitStack) -> Helpdesk:
        """A new desk, to be left with ``stack``."""
        made = self.factory()
        return stack.enter_context(made) if isinstance(made, AbstractContextManager) else made

    def checked(self, desk: Helpdesk) -> set[str]:
        """The optional methods that a desk has. Raises everything that is wrong with its methods."""
        problems = [*wrong_methods(desk, dict(self.reference.arguments))]
        if problems:
            raise HelpdeskError(f"{self.name} is no helpdesk as `conformance` needs it", problems)
        return {name for name in OPTIONAL if getattr(desk, name, None) is not None}
