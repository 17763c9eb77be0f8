"""A policy as people read it: tables, the page a support team publishes, and two drawings.

Everything is made from the policy alone, in its own words. Each format has one
function that makes the policy's text harmless in it; no text gets past it.
"""

from __future__ import annotations

import html
import re

from typing import TYPE_CHECKING, Final

import attrs

from casestate.policy import PREVIOUS


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from casestate.policy import Policy, Timer, Transition

__all__ = ["Table", "dot", "markdown", "mermaid", "state_label", "tables", "visible"]

ANY: Final = "*"
ANY_OPEN: Final = "*open"
CUSTOMER: Final = "customer"
_PSEUDO: Final = {ANY: "any state", ANY_OPEN: "any open state", PREVIOUS: "where it came from"}
_WHAT: Final = {"remind": "Reminder", "notify": "Notification"}
_MOST_ORIGINS: Final = 3
"""More arrows than that from a row to `PREVIOUS` say less than one."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~!$&@]")


def visible(text: str) -> str:
    """``text`` with the characters that steer a terminal or the direction of writing shown as escapes."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _line(text: str) -> str:
    """A text of the policy on one line; a dash for one that is blank."""
    return visible(" ".join(text.split())) or "—"


@attrs.frozen(kw_only=True)
class Table:
    """Rows of text under a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


# --- what the policy says, in words ------------------------------------------


def tables(policy: Policy) -> tuple[Table, ...]:
    """The policy row by row: its states, transitions and timers."""
    states = tuple(
        (
            state,
            state_label(policy, state),
            policy.described(state).waiting_on or "",
            " and ".join(
                word
                for word, holds in (("initial", state == policy.initial), ("closed", policy.is_closed(state)))
                if holds
            ),
        )
        for state in policy.states
    )
    transitions = tuple(
        (row.event, ", ".join(row.by), ", ".join(row.from_), _target(row), _conditions(row))
        for row in policy.transitions
    )
    timers = tuple(
        (
            timer.name,
            ", ".join(timer.in_),
            timer.kind,
            timer.audience or "",
            _when(timer),
            timer.to or "",
            "" if timer.notice is None else str(timer.notice),
        )
        for timer in policy.timers.values()
    )
    return (
        Table(title="States", columns=("state", "label", "waiting on", "is"), rows=states),
        Table(title="Transitions", columns=("event", "by", "from", "to", "condition"), rows=transitions),
        Table(
            title="Timers",
            columns=("timer", "in", "kind", "audience", "when", "to", "notice"),
            rows=timers,
        ),
    )


def _target(row: Transition) -> str:
    return "(refused)" if row.refuse else row.to or "(stays)"


def _conditions(row: Transition) -> str:
    conditions = [f"if {row.when}"] if row.when else []
    return ", ".join(conditions + [f"needs {name}" for name in row.needs])


def state_label(policy: Policy, state: str) -> str:
    """What people read for a state: ``Pending - Customer Input``."""
    status, _, sub_status = state.partition(".")
    label = policy.statuses[status].label
    return f"{label} - {policy.statuses[status].sub_statuses[sub_status].label}" if sub_status else label


def _when(timer: Timer) -> str:
    when = f"after {timer.after}" if timer.after.amount else "at once"
    if timer.repeat is None:
        return when
    return f"{when}, then every {timer.repeat.every}, {timer.repeat.times} times in all"


def _words(name: str) -> str:
    return name.replace("_", " ")


# --- the page a support team publishes ---------------------------------------


def markdown(policy: Policy) -> str:
    """The page that explains the statuses to customers and staff, in Markdown."""
    return "\n".join(_page(policy))


def _page(policy: Policy) -> Iterator[str]:
    yield f"# Case statuses: {policy.name}\n"
    yield from _markdown_table(
        Table(
            title="Status reference",
            columns=("Status", "Meaning", "Action required?"),
            rows=tuple(_meanings(policy)),
        )
    )
    yield f"## Status flow\n\n```mermaid\n{mermaid(policy)}```\n"
    yield from _markdown_table(
        Table(
            title="Case closure policy", columns=("Scenario", "Closes after"), rows=tuple(_closures(policy))
        )
    )
    yield from _markdown_table(
        Table(
            title="Reminders and notifications",
            columns=("Status", "What", "Who", "When"),
            rows=tuple(
                (state_label(policy, state), _WHAT[timer.kind], _words(timer.audience or "—"), _when(timer))
                for state, timer in _timers(policy, "remind", "notify")
            ),
        )
    )
    yield from _markdown_table(
        Table(
            title="Automatic moves",
            columns=("Scenario", "Moves to", "After"),
            rows=tuple(
                (_inaction(policy, state), state_label(policy, str(timer.to)), str(timer.after))
                for state, timer in _timers(policy, "move")
            ),
        )
    )


def _meanings(policy: Policy) -> Iterator[tuple[str, ...]]:
    for status in policy.statuses.values():
        yield (status.label, status.meaning or "—", status.action_required or "—")
        for sub in status.sub_statuses.values():
            yield (f"{status.label} - {sub.label}", sub.meaning or "—", sub.action_required or "—")


def _closures(policy: Policy) -> Iterator[tuple[str, str]]:
    for state, timer in _timers(policy, "close"):
        yield _inaction(policy, state), str(timer.after)
    for row, found in _effects(policy):
        closes = row.to is not None and row.to != PREVIOUS and policy.is_closed(row.to)
        states = [state for state, by in found.items() if CUSTOMER in by and not policy.is_closed(state)]
        if closes and states:
            everywhere = states == list(policy.matching([ANY_OPEN]))
            where = (
                _PSEUDO[ANY_OPEN] if everywhere else ", ".join(state_label(policy, state) for state in states)
            )
            yield f"{_words(row.event).capitalize()} by {CUSTOMER} in {where}", "Immediately"


def _inaction(policy: Policy, state: str) -> str:
    waiting_on = policy.described(state).waiting_on
    return f"{'No reply on' if waiting_on else 'No change in'} {state_label(policy, state)}"


def _timers(policy: Policy, *kinds: str) -> Iterator[tuple[str, Timer]]:
    for timer in policy.timers.values():
        if timer.kind in kinds:
            for state in policy.matching(timer.in_):
                yield state, timer


def _markdown_table(table: Table) -> Iterator[str]:
    if table.rows:
        lines = [table.columns, ("---",) * len(table.columns), *table.rows]
        yield f"## {table.title}\n"
        yield "\n".join(f"| {' | '.join(map(_in_markdown, line))} |" for line in lines) + "\n"


def _in_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\g<0>", _line(text))


# --- the arrows of both drawings ---------------------------------------------


@attrs.frozen(kw_only=True)
class _Arrow:
    """An arrow of a drawing, with everything that leads the same way.

    ``source`` and ``target`` are states, statuses that stand for all of their
    sub-statuses, or pseudo-states. A ``timed`` arrow is followed by itself.
    """

    source: str
    target: str
    timed: bool
    labels: tuple[str, ...]


def _arrows(policy: Policy) -> tuple[_Arrow, ...]:
    labels: dict[tuple[str, str, bool], dict[str, None]] = {}
    effects = _effects(policy)
    origins = _origins(policy, effects)
    for row, found in effects:
        if row.to is not None:
            for source, label in _leaving(policy, row, found):
                for target in _targets(row.to, source, origins):
                    for ends in _apart(policy, source, target):
                        labels.setdefault((*ends, False), {})[label] = None
    for timer in policy.timers.values():
        if timer.to is not None:
            for source in _folded(policy, policy.matching(timer.in_)):
                for ends in _apart(policy, source, timer.to):
                    labels.setdefault((*ends, True), {})[_when(timer)] = None
    return tuple(
        _Arrow(source=source, target=target, timed=timed, labels=tuple(found))
        for (source, target, timed), found in labels.items()
    )


def _effects(policy: Policy) -> list[tuple[Transition, dict[str, tuple[str, ...]]]]:
    """Each row with the states in which it is what happens, and by which roles: the first match wins."""
    taken: dict[tuple[str, str, str], set[tuple[bool, bool]]] = {}
    effects: list[tuple[Transition, dict[str, tuple[str, ...]]]] = []
    for row in policy.transitions:
        matches = {
            (assigned, previous)
            for assigned in (False, True)
            for previous in (False, True)
            if row.matches(by=row.by[0], assigned=assigned, previous=previous)
        }
        found: dict[str, tuple[str, ...]] = {}
        for state in policy.matching(row.from_):
            for role in row.by:
                before = taken.setdefault((row.event, state, role), set())
                if not matches <= before:
                    found[state] = (*found.get(state, ()), role)
                before |= matches
        effects.append((row, found))
    return effects


def _origins(
    policy: Policy, effects: Iterable[tuple[Transition, Mapping[str, object]]]
) -> Mapping[str, tuple[str, ...]]:
    """For each status, the states of other statuses that it can be entered from."""
    ways = [(state, row.to) for row, found in effects if row.to is not None for state in found]
    ways += [
        (state, timer.to)
        for timer in policy.timers.values()
        if timer.to is not None
        for state in policy.matching(timer.in_)
    ]
    origins: dict[str, dict[str, None]] = {name: {} for name in policy.statuses}
    known = -1
    while known != (known := sum(map(len, origins.values()))):
        for state, to in ways:
            own = _status(state)
            for target in list(origins[own]) if to == PREVIOUS else [to]:
                if _status(target) != own:
                    origins[_status(target)][state] = None
    return {
        name: tuple(state for state in policy.states if state in found) for name, found in origins.items()
    }


def _status(state: str) -> str:
    return state.partition(".")[0]


def _leaving(
    policy: Policy, row: Transition, found: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Where the arrows of a row begin, and what they say; one arrow where a pattern stands for many."""
    condition = f" if {row.when}" if row.when else ""
    pattern = next((name for name in (ANY, ANY_OPEN) if name in row.from_), None)
    for roles in dict.fromkeys(found.values()):
        states = [state for state, by in found.items() if by == roles]
        label = f"{row.event} ({', '.join(roles)}){condition}"
        if pattern is not None:
            meant = policy.matching([pattern])
            others = [state for state in meant if state not in states and state != row.to]
            if sum(state in meant for state in states) > len(others):
                but = (
                    f", not in {', '.join(state_label(policy, state) for state in others)}" if others else ""
                )
                yield pattern, f"{label}{but}"
                states = [state for state in states if state not in meant]
        for source in _folded(policy, states):
            yield source, label


def _folded(policy: Policy, states: Iterable[str]) -> Iterator[str]:
    """``states``, where a status stands for its sub-statuses if they are all there."""
    states = list(states)
    for name, status in policy.statuses.items():
        own = [state for state in states if _status(state) == name]
        yield from [name] if status.sub_statuses and len(own) == len(status.sub_statuses) else own


def _targets(to: str, source: str, origins: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if to != PREVIOUS:
        return (to,)
    found = origins.get(_status(source))
    return (PREVIOUS,) if found is None or len(found) > _MOST_ORIGINS else found


def _apart(policy: Policy, source: str, target: str) -> Iterator[tuple[str, str]]:
    """An arrow between a status and a sub-status of its own is one for each sub-status."""
    inside = source != target and _status(source) == _status(target)
    for start in _inner(policy, source) if inside else [source]:
        for end in _inner(policy, target) if inside else [target]:
            yield start, end


def _inner(policy: Policy, node: str) -> list[str]:
    status = policy.statuses.get(node)
    return [f"{node}.{sub}" for sub in status.sub_statuses] if status is not None else [node]


def _finals(policy: Policy, arrows: Iterable[_Arrow]) -> Iterator[str]:
    """The closed states that nothing leads out of."""
    left = {state for arrow in arrows for state in (arrow.source, *_inside(policy, arrow.source))}
    for state in policy.states:
        if policy.is_closed(state) and state not in left:
            yield state


def _inside(policy: Policy, node: str) -> tuple[str, ...]:
    return policy.matching([node])


def _told(policy: Policy, state: str) -> Iterator[str]:
    """What a state reminds or notifies of: timers that lead nowhere, so that no arrow shows them."""
    for where, timer in _timers(policy, "remind", "notify"):
        if where == state:
            audience = f" {_words(timer.audience)}" if timer.audience else ""
            yield f"{timer.kind}{audience} {_when(timer)}"


# --- mermaid -----------------------------------------------------------------


def mermaid(policy: Policy) -> str:
    """The statechart of the policy as a mermaid ``stateDiagram-v2``."""
    return "".join(f"{line}\n" for line in _mermaid_lines(policy))


def _mermaid_lines(policy: Policy) -> Iterator[str]:
    arrows = _arrows(policy)
    yield "stateDiagram-v2"
    for name, status in policy.statuses.items():
        if status.sub_statuses:
            yield f"    {_mermaid_state(name, status.label)} {{"
            for sub_name, sub in status.sub_statuses.items():
                yield f"        {_mermaid_state(f'{name}.{sub_name}', sub.label)}"
            yield "    }"
        else:
            yield f"    {_mermaid_state(name, status.label)}"
    for pseudo in _used(arrows):
        yield f"    {_mermaid_state(pseudo, _PSEUDO[pseudo])}"
    for state in policy.states:
        for told in _told(policy, state):
            yield f"    {_mermaid_id(state)} : {_in_mermaid(told)}"
    yield f"    [*] --> {_mermaid_id(policy.initial)}"
    for arrow in arrows:
        label = "<br/>".join(map(_in_mermaid, arrow.labels))
        yield f"    {_mermaid_id(arrow.source)} --> {_mermaid_id(arrow.target)} : {label}"
    for state in _finals(policy, arrows):
        yield f"    {_mermaid_id(state)} --> [*]"
    used = _used(arrows)
    if used:
        yield "    classDef pseudo stroke-dasharray: 4 4"
        yield f"    class {','.join(map(_mermaid_id, used))} pseudo"


def _used(arrows: Iterable[_Arrow]) -> list[str]:
    ends = {end for arrow in arrows for end in (arrow.source, arrow.target)}
    return [pseudo for pseudo in _PSEUDO if pseudo in ends]


def _mermaid_state(node: str, label: str) -> str:
    return f'state "{_in_mermaid(label)}" as {_mermaid_id(node)}'


def _mermaid_id(node: str) -> str:
    # A prefix, because a status may have the name of a keyword.
    return f"p_{_PSEUDO[node].replace(' ', '_')}" if node in _PSEUDO else f"s_{node}"


def _in_mermaid(text: str) -> str:
    # Mermaid reads labels as Markdown as well: a number at the beginning would make a list.
    line = _line(text)
    return "".join(
        character
        if (character.isalpha() or character in " .,'()" or (character.isdigit() and place))
        else f"#{ord(character)};"
        for place, character in enumerate(line)
    )


# --- Graphviz ----------------------------------------------------------------


def dot(policy: Policy) -> str:
    """The same statechart as a Graphviz digraph."""
    return "".join(f"{line}\n" for line in _dot_lines(policy))


def _dot_lines(policy: Policy) -> Iterator[str]:
    arrows = _arrows(policy)
    used = _used(arrows)
    yield f"digraph {_quoted(policy.name)} {{"
    yield '    graph [rankdir=LR, nodesep=0.35, ranksep=0.4, fontname="Helvetica", fontsize=12, pad=0.3]'
    yield '    node [shape=box, style="rounded,filled", fillcolor="#eef3fb", color="#4a6fa5",'
    yield '          fontname="Helvetica", fontsize=12, margin="0.15,0.08"]'
    yield '    edge [fontname="Helvetica", fontsize=10, color="#555555", fontcolor="#333333", arrowsize=0.8]'
    yield '    "@start" [shape=circle, style=filled, fillcolor=black, label="", width=0.18]'
    yield "    subgraph cluster_open {"
    yield '        graph [style="rounded,dashed", color="#9db2d0", label="open", labeljust=l,'
    yield '               fontcolor="#4a6fa5"]'
    yield from (_dot_status(policy, name, arrows) for name in policy.statuses if not policy.is_closed(name))
    yield from (_dot_pseudo(pseudo) for pseudo in used if pseudo == ANY_OPEN)
    yield "    }"
    yield '    node [fillcolor="#e4e4e4", color="#777777"]'
    yield from (_dot_status(policy, name, arrows) for name in policy.statuses if policy.is_closed(name))
    yield from (_dot_pseudo(pseudo) for pseudo in used if pseudo != ANY_OPEN)
    yield f'    "@start" -> {_dot_end(policy.initial)}'
    order = [ANY, ANY_OPEN, *policy.statuses, PREVIOUS]
    for arrow in arrows:
        if not _is_inner(arrow):
            back = order.index(_status(arrow.target)) < order.index(_status(arrow.source))
            yield _dot_arrow(arrow, back=back)
    yield "}"


def _is_inner(arrow: _Arrow) -> bool:
    """Whether an arrow stays inside the box of one status: there it is a line of text."""
    return "." in arrow.source and _status(arrow.source) == _status(arrow.target)


def _dot_status(policy: Policy, name: str, arrows: Iterable[_Arrow]) -> str:
    """A status as a box; its sub-statuses are boxes inside, each with a port of its own."""
    status = policy.statuses[name]
    label = f"<B>{_in_html(status.label)}</B>"
    if not status.sub_statuses:
        lines = [label, *map(_dot_small, _told(policy, name))]
        return f"        {_quoted(name)} [label=<{'<BR/>'.join(lines)}>]"
    rows = f"<TR><TD>{label}</TD></TR>"
    for sub_name, sub in status.sub_statuses.items():
        state = f"{name}.{sub_name}"
        inner = (
            f"{' / '.join(arrow.labels)} → {status.sub_statuses[arrow.target.partition('.')[2]].label}"
            for arrow in arrows
            if _is_inner(arrow) and arrow.source == state
        )
        lines = [_in_html(sub.label), *map(_dot_small, (*_told(policy, state), *inner))]
        cell = f'<TD PORT="{sub_name}" BORDER="1" STYLE="ROUNDED" BGCOLOR="white">'
        rows += f"<TR>{cell}{'<BR/>'.join(lines)}</TD></TR>"
    return (
        f'        {_quoted(name)} [label=<<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="5">{rows}</TABLE>>]'
    )


def _dot_small(text: str) -> str:
    return f'<FONT POINT-SIZE="10" COLOR="#555555"><I>{_in_html(text)}</I></FONT>'


def _dot_pseudo(pseudo: str) -> str:
    label = _PSEUDO[pseudo]
    return f'        {_quoted(pseudo)} [label="{label}", style="rounded,dashed", fontcolor="#4a6fa5"]'


def _dot_arrow(arrow: _Arrow, *, back: bool) -> str:
    # Graphviz ranks from tail to head: an arrow back is turned round, so that the flow goes one way.
    tail, head = (arrow.target, arrow.source) if back else (arrow.source, arrow.target)
    label = "\\n".join(f" {_in_dot(label)} " for label in arrow.labels)
    style = (", style=dashed" if arrow.timed else "") + (", dir=back" if back else "")
    return f'    {_dot_end(tail)} -> {_dot_end(head)} [label="{label}"{style}]'


def _dot_end(node: str) -> str:
    status, dot_, sub_status = node.partition(".")
    return f"{_quoted(status)}:{_quoted(sub_status)}" if dot_ else _quoted(node)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _in_html(text: str) -> str:
    return html.escape(_line(text))


def _in_dot(text: str) -> str:
    return _in_html(text).replace("\\", "\\\\")
