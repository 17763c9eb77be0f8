"""What the policy says of each thing that may happen to a case, in every world that the case may be in.

What a desk may do is a set. Each case has the *worlds* that it may be in, and every look at
the desk rules out those that are not so. There is more than one only where a desk is
free: a sweep that crashed may have sent or not, and what is due at the very beginning of a
stay may be sent at once or by the next sweep. When no world is left, the desk is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from casestate.errors import CasestateError, StaleAction
from casestate.policy import CLONE
from casestate.workflow import Workflow


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from casestate.case import Action, Case
    from casestate.policy import Policy

__all__ = ["BEGINNING", "END", "Move", "Reference", "Scope", "World"]

BEGINNING: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""Where stories shrink to: a Monday morning."""
END: Final = datetime(2400, 1, 1, tzinfo=UTC)
"""No story goes on for longer."""
ASSIGNEE: Final = "mira"

Scope: TypeAlias = Literal["waiting", "moving", "fresh", "staying", "permitted", "others", "any"]
"""Events that begin a stay in an open state: with timers, any, or new to the case; internal ones; all
permitted; those that only other roles may cause; all."""


@attrs.frozen
class Move:
    """An event by a role, with the arguments that are given."""

    event: str
    by: str
    given: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        given = ", ".join(value if name == "sub_status" else f"{name}={value}" for name, value in self.given)
        return f"{self.event}({given})" if given else self.event


@attrs.frozen
class World:
    """What may be so of one case.

    ``sent`` holds the timers whose messages have been sent, ``acted`` the key of an action
    that has been acted on and not settled; ``found`` what a sweep has found and
    not carried out yet, ``touched`` whether anything has happened since.
    """

    case: Case
    sent: tuple[str, ...] = ()
    acted: str | None = None
    found: Action | None = None
    touched: bool = False

    @property
    def key(self) -> object:
        """What tells worlds apart."""
        case = self.case
        stay = (case.state, case.stay, case.entered_at, case.settled, case.settled_at)
        return (*stay, case.previous, case.assignee, self.sent, self.acted, self.found, self.touched)


class Reference:
    """What the policy says of any step, in every world that may be."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.workflow = Workflow(policy, clock=lambda: BEGINNING)  # which is never asked
        self.timers = {timer.name: timer for timers in policy.schedules.values() for timer in timers}
        self.arguments = tuple(self._arguments())
        """The arguments that some row asks for."""
        self.moves = tuple(self._moves())
        self._choices: dict[object, Mapping[Scope, Sequence[Move]]] = {}

    def _arguments(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        policy = self.policy
        asking = dict.fromkeys(
            row.to for row in policy.transitions if row.to in policy.statuses and row.to not in policy.states
        )
        subs = dict.fromkeys(sub for to in asking for sub in policy.statuses[cast("str", to)].sub_statuses)
        if subs:
            unknown = "nowhere"
            while unknown in subs:
                unknown += "_x"
            yield "sub_status", (*subs, unknown)
        if any("assignee" in row.needs for row in policy.transitions):
            yield "assignee", (ASSIGNEE,)

    def _moves(self) -> Iterator[Move]:
        given: list[tuple[tuple[str, str], ...]] = [()]
        for name, values in self.arguments:
            given += [(*before, (name, value)) for before in given for value in values]
        for by in self.policy.roles:
            for event in self.policy.events:
                if event != CLONE:
                    yield from (Move(event, by, arguments) for arguments in given)

    def choices(self, case: Case) -> Mapping[Scope, Sequence[Move]]:
        """The events of each scope for a case; those that move it lead to each of their states as often."""
        been = frozenset(change.from_state for change in case.history) | {case.state}
        key = (case.state, case.assignee is None, case.previous, been)
        if key not in self._choices:
            permitted: list[Move] = []
            staying: list[Move] = []
            moving: dict[str, list[Move]] = {}
            for move in self.moves:
                after = self.after(case, move, case.changed_at)
                if isinstance(after, CasestateError):
                    continue
                permitted.append(move)
                if after.stay == case.stay:
                    staying.append(move)
                elif not self.policy.is_closed(after.state):
                    moving.setdefault(after.state, []).append(move)
            waiting = {state: moves for state, moves in moving.items() if self.policy.schedules[state]}
            own, may = set(permitted), {(move.event, move.given) for move in permitted}
            others = [move for move in self.moves if (move.event, move.given) in may and move not in own]
            fresh = {state: moves for state, moves in moving.items() if state not in been}
            self._choices[key] = {
                "waiting": _as_often(waiting),
                "moving": _as_often(moving),
                "fresh": _as_often(fresh or moving),
                "staying": staying or permitted,
                "permitted": permitted,
                "others": others or self.moves,
                "any": self.moves,
            }
        return self._choices[key]

    def after(self, case: Case, move: Move, at: datetime) -> Case | CasestateError:
        """The case after an event, or why it is refused."""
        try:
            return self.workflow.apply(case, move.event, by=move.by, at=at, **dict(move.given))
        except CasestateError as error:
            return error

    def due(self, case: Case, now: datetime) -> Action | None:
        """What a sweep finds for one case."""
        due_at = self.workflow.next_due(case)
        return None if due_at is None or due_at > now else next(self.workflow.forecast(case, now=now))

    def entered(self, world: World) -> Iterator[World]:
        """A world in which a stay has just begun; what is due at once may be sent at once."""
        yield world
        action = self.due(world.case, world.case.entered_at)
        if action is not None and action.to is None:
            yield self._acted(world, action, world.case.entered_at)

    def _acted(self, world: World, action: Action, now: datetime) -> World:
        sent = world.sent
        if action.to is None and world.acted != action.key:
            sent = (*sent, action.timer)
        case = self.workflow.settle(world.case, action, at=now)
        return attrs.evolve(world, case=case, sent=sent, acted=None)

    def carried_out(self, world: World, action: Action, now: datetime) -> Iterator[World]:
        """A world in which an action has been carried out."""
        after = self._acted(world, action, now)
        return iter((after,)) if action.to is None else self.entered(after)

    def swept(self, world: World, now: datetime) -> Iterator[World]:
        """After a sweep: exactly what is due has been carried out."""
        action = self.due(world.case, now)
        return iter((world,)) if action is None else self.carried_out(world, action, now)

    def crashed(self, world: World, now: datetime) -> Iterator[World]:
        """After a sweep that died: it has done nothing, has acted without settling, or was done."""
        yield world
        action = self.due(world.case, now)
        if action is not None:
            if action.to is None:
                sent = world.sent if world.acted == action.key else (*world.sent, action.timer)
                yield attrs.evolve(world, sent=sent, acted=action.key)
            yield from self.carried_out(world, action, now)

    def collected(self, world: World, now: datetime) -> World:
        """After the first half of a sweep."""
        return attrs.evolve(world, found=self.due(world.case, now), touched=False)

    def finished(self, world: World, now: datetime) -> Iterator[World]:
        """After the second half: what was found has been carried out, unless it has become stale.

        A desk may also look afresh at the cases that it found, and may leave one to
        which anything has happened since for the next sweep.
        """
        found, afresh = world.found, self.due(world.case, now)
        plain = attrs.evolve(world, found=None, touched=False)
        done = found is not None and not self.is_stale(world.case, found)
        if done and found is not None:
            yield from self.carried_out(plain, found, now)
        if world.touched or not done or afresh != found:
            yield plain
        if afresh is not None and afresh != found and (world.touched or found is not None):
            yield from self.carried_out(plain, afresh, now)

    def is_stale(self, case: Case, action: Action) -> bool:
        """Whether a case has moved on since an action was found."""
        try:
            self.workflow.settle(case, action, at=END)
        except StaleAction:
            return True
        return False

    def cloned(self, world: World, new_id: str, by: str, at: datetime) -> tuple[Case, Case] | CasestateError:
        """The case and its clone, or why it is refused."""
        try:
            return self.workflow.clone(world.case, new_id, by=by, at=at)
        except CasestateError as error:
            return error


def _as_often(groups: Mapping[str, Sequence[Move]]) -> list[Move]:
    """The moves of all groups, of each group as many."""
    most = max(map(len, groups.values()), default=0)
    return [moves[number % len(moves)] for number in range(most) for moves in groups.values()]
