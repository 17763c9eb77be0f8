"""The charts of the report, as plotly draws them.

A chart is JSON for plotly.js and a legend for the page; it is checked against plotly's own schema when it is
made. Plotly reads what it writes as a kind of HTML: every text goes through `_text`.
"""

from __future__ import annotations

import html

from bisect import bisect_right
from collections import Counter
from datetime import timedelta
from itertools import accumulate, cycle, pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from casestate.render import visible
from casestate.report.words import counted, grouped, lasting, percent


try:
    from plotly import graph_objects, offline  # type: ignore[import-untyped]  # plotly has no py.typed
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "casestate.report needs plotly: pip install 'casestate[report]'", name="plotly"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from casestate.replay import Closures, CurvePoint, ReplyCurve, TimeInState, TimerCount, WhatIf

__all__ = [
    "COLOURS",
    "OUTCOMES",
    "Chart",
    "Key",
    "Mark",
    "draw_actions",
    "draw_closures",
    "draw_replies",
    "draw_times",
    "draw_what_ifs",
    "plotly_js",
    "thinned",
]

_Json: TypeAlias = "dict[str, Any]"

COLOURS: Final = ("#3d7fd0", "#d9583b", "#2f9e6b", "#9b6bd0", "#b3842a", "#1f95a8", "#d0548f", "#7d8794")
"""Each can be told from white and from the dark background of the page."""
BLUE, RED, GREEN, VIOLET, AMBER, TEAL, PINK, GREY = COLOURS
BAND: Final = "rgba(61,127,208,0.22)"
_PATTERNS: Final = ("", "/", "x", ".")
_KINDS: Final = {"close": "Closings", "move": "Moves", "remind": "Reminders", "notify": "Notifications"}
_KIND_COLOURS: Final = {"close": RED, "move": VIOLET, "remind": AMBER, "notify": GREY}
_OTHER_COLOURS: Final = (BLUE, GREEN, TEAL, PINK)
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MOST_POINTS: Final = 400
"""More of them than that cannot be told apart in a curve as wide as the page."""
_MOST_LETTERS: Final = 42
_FEW: Final = 8
"""So many numbers of days can all be told under an axis."""
_MONTHS_AT_LEAST: Final = 6
_BAR: Final = 26 * 86_400_000
"""How wide the bar of a month is, in the milliseconds of an axis of time."""
_TICKS: Final = {
    1: "1 s",
    60: "1 min",
    3_600: "1 h",
    86_400: "1 day",
    2_592_000: "30 d",
    31_536_000: "1 yr",
    315_360_000: "10 yr",
    3_153_600_000: "100 yr",
}
"""What a logarithmic axis of time says, by seconds."""


@attrs.frozen(kw_only=True)
class Key:
    """An entry of a legend. ``pattern`` is the number of the pattern that a colour's second use has."""

    text: str
    colour: str
    pattern: int = 0
    shape: str = "box"
    """``box``, ``thick`` or ``thin`` line, ``dotted`` line, ``upright`` line or ``dot``."""


@attrs.frozen(kw_only=True)
class Chart:
    """A chart of the page: its name there, what is drawn, and the words for who does not see it."""

    id: str
    alt: str
    height: int
    figure: Mapping[str, object]
    legend: tuple[Key, ...] = ()


@attrs.frozen(kw_only=True)
class Mark:
    """A timer on a curve of replies: when it fires, about, and what share has been replied to by then."""

    timer: str
    kind: str
    text: str
    after: timedelta
    share: float


def plotly_js() -> str:
    """plotly.js itself, to be put into the page."""
    found = cast("str", cast("Any", offline).get_plotlyjs())
    return found.replace("\r\n", "\n")


def _text(text: str) -> str:
    """A text that plotly takes letter by letter: no tags, no entities, no templates."""
    return html.escape(visible(text), quote=False).replace("%", "&#37;")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def _figure(data: Sequence[_Json], height: int, **layout: object) -> _Json:
    """A figure in the style of all; what is wrong with it raises."""
    whole: _Json = {
        "template": {},
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 8, "b": 44},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {"align": "left", "bgcolor": "#22272e", "font": {"color": "#ffffff"}},
        **layout,
    }
    checked: Any = cast("Any", graph_objects).Figure({"data": list(data), "layout": whole})
    return cast("_Json", checked.to_plotly_json())


def _axis(title: str = "", **more: object) -> _Json:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "automargin": True,
        "fixedrange": True,
        "showline": False,
        "zeroline": False,
        "separatethousands": True,
        **more,
    }


def _note(text: str, **more: object) -> _Json:
    """A text in the drawing that is no HTML of ours."""
    return {"text": _text(text), "showarrow": False, "xanchor": "left", **more}


def _upright(x: float, colour: str, dash: str, top: float = 1) -> _Json:
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": top, "line": line}


def _in(span: timedelta, unit: timedelta) -> float:
    return round(span / unit, 5)


# --- actions over time --------------------------------------------------------


def draw_actions(timers: Iterable[TimerCount]) -> Chart:
    """Bars by month, stacked by timer; what is of one kind has a panel of its own."""
    active = [timer for timer in timers if timer.actions]
    kinds = [kind for kind in _KINDS if any(timer.kind == kind for timer in active)]
    active.sort(key=lambda timer: kinds.index(timer.kind))
    panel = 1 / len(kinds)
    data: list[_Json] = []
    legend: list[Key] = []
    others = [(colour, pattern) for pattern in range(len(_PATTERNS)) for colour in _OTHER_COLOURS]
    free = cycle(others)
    for place, timer in enumerate(active):
        row = kinds.index(timer.kind)
        first = not place or active[place - 1].kind != timer.kind
        colour, pattern = (_KIND_COLOURS[timer.kind], 0) if first else next(free)
        legend.append(Key(text=timer.timer, colour=colour, pattern=pattern))
        data.append(
            {
                "type": "bar",
                "name": _text(timer.timer),
                "x": [f"{month.zfill(7)}-16" for month in timer.months],
                "y": list(timer.months.values()),
                "width": _BAR,
                "yaxis": f"y{row + 1}" if row else "y",
                "marker": {"color": colour, "pattern": {"shape": _PATTERNS[pattern]}},
                "hovertemplate": f"%{{x|%B %Y}}<br>{_text(timer.timer)}: %{{y:,}}<extra></extra>",
            }
        )
    height = 40 + 150 * len(kinds)
    axes: _Json = {}
    notes: list[_Json] = []
    for row, kind in enumerate(kinds):
        top = 1 - row * panel
        below = 26 / height if row < len(kinds) - 1 else 0
        axes[f"yaxis{row + 1}" if row else "yaxis"] = _axis(
            domain=[round(top - panel + below, 4), round(top - 28 / height, 4)],
            **_counts(_highest(timer.months for timer in active if timer.kind == kind), 4),
        )
        notes.append(_note(_KINDS[kind], xref="paper", x=0, yref="paper", y=top, yanchor="top"))
    bottom = f"y{len(kinds)}" if len(kinds) > 1 else "y"
    monthly = _monthly(sorted({month.zfill(7) for timer in active for month in timer.months}))
    return Chart(
        id="actions",
        alt=f"Bars by month: how often {', '.join(key.text for key in legend)} would have fired.",
        height=height,
        figure=_figure(
            data,
            height,
            barmode="stack",
            margin={"l": 48, "r": 12, "t": 4, "b": 44 if monthly else 28},
            xaxis=_axis(
                type="date",
                anchor=bottom,
                showgrid=False,
                **monthly,
                ticklabelmode="period",
                nticks=7,
            ),
            annotations=notes,
            **axes,
        ),
        legend=tuple(legend),
    )


def _counts(highest: int, ticks: int) -> _Json:
    """What an axis of counts is: from 0 on, and never with half of one."""
    whole = {"dtick": 1} if highest <= 4 else {"nticks": ticks}
    return {"rangemode": "tozero", "tickformat": ",~d", **whole}


def _highest(stacked: Iterable[Mapping[str, int]]) -> int:
    found: Counter[str] = Counter()
    for months in stacked:
        found.update(months)
    return max(found.values())


def _monthly(months: Sequence[str]) -> _Json:
    """What an axis of a few months is: a tick for each, and so wide that one or two do not fill it."""
    first, last = (12 * int(month[:4]) + int(month[5:]) - 1 for month in (months[0], months[-1]))
    room = _MONTHS_AT_LEAST - 1 - (last - first)
    if room < 0:
        return {}
    ends = (max(12, first - room // 2), last + room - room // 2 + 1)
    around = [f"{end // 12:04}-{end % 12 + 1:02}-01" for end in ends]
    return {"range": around, "dtick": "M1", "tickformat": "%b<br>%Y"}


# --- time to reply --------------------------------------------------------------


def thinned(points: Sequence[CurvePoint], keep: Iterable[timedelta] = ()) -> list[CurvePoint]:
    """The points that can be told apart in a drawing: the ends, what holds at ``keep``, and what moves it.

    Between two that are left the curve goes less than a two-hundredth of its way, across and upwards.
    """
    if len(points) <= _MOST_POINTS:
        return list(points)
    held = {0, len(points) - 1}
    for after in keep:
        held.add(max(0, bisect_right(points, after, key=lambda point: point.after) - 1))
    width = (points[-1].after - points[0].after) / _DAY
    height = points[-1].share - points[0].share
    steps = [
        (later.after - earlier.after) / _DAY / width + (later.share - earlier.share) / height
        for earlier, later in pairwise(points)
    ]
    # Both ways together are 2 long.
    cells = [int(way / 2 * (_MOST_POINTS - len(held) - 1)) for way in accumulate(steps, initial=0.0)]
    held |= {index for index, (here, after) in enumerate(pairwise(cells)) if here != after}
    return [points[index] for index in sorted(held)]


def draw_replies(name: str, label: str, curve: ReplyCurve, marks: Sequence[Mark]) -> Chart:
    """The curve of one state with its limits, and the timers of the state upon it."""
    last = curve.points[-1].after
    latest = max((mark.after for mark in marks), default=last)
    # Far beyond the last timer the curve says nothing about it.
    shown = max(latest * 1.15, min(last, latest * 3), _HOUR)
    unit, name_of_unit = (_DAY, "days") if shown > 3 * _DAY else (_HOUR, "hours")
    points = thinned(curve.points, [mark.after for mark in marks])
    x = [0.0, *(_in(point.after, unit) for point in points)]
    shares = [(0.0, 0.0, 0.0), *((point.low, point.share, point.high) for point in points)]
    if latest > last:
        x.append(_in(latest, unit))
        shares.append(shares[-1])
    low, share, high = ([round(100 * each[place], 3) for each in shares] for place in range(3))
    limit = {"type": "scatter", "mode": "lines", "x": x, "line": {"shape": "hv", "width": 0}}
    data: list[_Json] = [
        {**limit, "y": low, "hoverinfo": "skip"},
        {**limit, "y": high, "hoverinfo": "skip", "fill": "tonexty", "fillcolor": BAND},
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": share,
            "line": {"shape": "hv", "width": 2.5, "color": BLUE},
            "customdata": [list(each) for each in zip(low, high, strict=True)],
            "hovertemplate": "after %{x:,.1f} "
            f"{name_of_unit}: %{{y:.1f}} %<br>"
            "between %{customdata[0]:.1f} and %{customdata[1]:.1f} %<extra></extra>",
        },
    ]
    drawn = [mark for mark in marks if mark.kind in ("close", "move")]
    drawn += [mark for mark in marks if mark not in drawn][:3]
    drawn.sort(key=lambda mark: mark.after)
    top = max(5.0, min(100.0, 1.1 * max(high)))
    lines: list[_Json] = []
    notes: list[_Json] = []
    legend = [Key(text="replied to", colour=BLUE, shape="thick"), Key(text="95 % limits", colour=BAND)]
    for row, mark in enumerate(drawn):
        colour = _KIND_COLOURS[mark.kind]
        at = _in(mark.after, unit)
        solid = mark.kind in ("close", "move")
        above = 18 * (len(drawn) - row)
        lines.append(_upright(at, colour, "solid" if solid else "dot", 1 + above / 274))
        legend.append(Key(text=mark.timer, colour=colour, shape="upright" if solid else "dotted"))
        right = at > 0.5 * _in(shown, unit)
        notes.append(
            _note(
                f"{mark.text}: {percent(mark.share)}",
                x=at,
                xanchor="right" if right else "left",
                xshift=-4 if right else 4,
                yref="paper",
                y=1,
                yanchor="bottom",
                yshift=above - 18,
            )
        )
    height = 330 + 18 * len(drawn)
    return Chart(
        id=name,
        alt=f"The share of stays in {label} that had been replied to, by the time since they began.",
        height=height,
        figure=_figure(
            data,
            height,
            margin={"l": 52, "r": 12, "t": 12 + 18 * len(drawn), "b": 44},
            xaxis=_axis(f"{name_of_unit} in the state", range=[0, 1.02 * _in(shown, unit)], showgrid=False),
            yaxis=_axis(range=[0, top], ticksuffix=" %", nticks=6, ticklabelstandoff=6),
            shapes=lines,
            annotations=notes,
            hovermode="x",
        ),
        legend=tuple(legend),
    )


# --- other lengths --------------------------------------------------------------


def draw_what_ifs(name: str, answers: Sequence[WhatIf], current: timedelta) -> Chart:
    """What each length of one timer would have done; the length that it has is marked."""
    days = [answer.days for answer in answers]
    counts = {
        "cases closed": ([answer.closed for answer in answers], RED),
        "of these back within 30 days": ([answer.came_back for answer in answers], BLUE),
        "reminders": ([answer.reminders for answer in answers], AMBER),
    }
    shown = {text: found for text, found in counts.items() if any(found[0]) or text != "reminders"}
    heights = [found for found, _ in shown.values()]
    line: _Json = {"type": "scatter", "mode": "lines+markers", "x": days, "cliponaxis": False}
    shares = [
        round(100 * answer.came_back / answer.followed, 3) if answer.followed else None for answer in answers
    ]
    data: list[_Json] = [
        {
            **line,
            "y": numbers,
            "line": {"color": colour, "width": 2.5},
            "marker": {"size": 8, "color": colour},
            "hovertemplate": f"%{{x}} days<br>{text}: %{{y:,}}<extra></extra>",
        }
        for text, (numbers, colour) in shown.items()
    ]
    data.append(
        {
            **line,
            "y": shares,
            "yaxis": "y2",
            "line": {"color": GREEN, "width": 2.5},
            "marker": {"size": 8, "color": GREEN},
            "hovertemplate": "%{x} days<br>%{y:.1f} % came back<extra></extra>",
        }
    )
    now = _in(current, _DAY)
    ends = (*days, now)
    room = max(0.5, 0.06 * (max(ends) - min(ends)))
    right = now > (max(ends) + min(ends)) / 2
    here = _note(
        f"now: {now:g} {'day' if now == 1 else 'days'}",
        x=now,
        xanchor="right" if right else "left",
        xshift=-4 if right else 4,
        yref="paper",
        y=1,
        yanchor="bottom",
    )
    title = _note(
        "Share of them that came back", xref="paper", x=0, yref="paper", y=0.34, yanchor="bottom", yshift=4
    )
    return Chart(
        id=name,
        alt=f"What {answers[0].timer} would have done with other numbers of days.",
        height=470,
        figure=_figure(
            data,
            470,
            margin={"l": 48, "r": 12, "t": 28, "b": 44},
            xaxis=_axis(
                f"days until {answers[0].timer}",
                anchor="y2",
                range=[min(ends) - room, max(ends) + room],
                tickformat=",~g",
                showgrid=False,
                **({"tickvals": days} if len(days) <= _FEW else {}),
            ),
            yaxis=_axis(domain=[0.46, 1], **_counts(max(map(max, heights)), 5)),
            yaxis2=_axis(
                domain=[0, 0.34],
                ticksuffix=" %",
                nticks=4,
                range=[0, 1.1 * max((share for share in shares if share), default=100)],
            ),
            shapes=[_upright(now, GREY, "dash")],
            annotations=[here, title],
        ),
        legend=(
            *(Key(text=text, colour=colour) for text, (_, colour) in shown.items()),
            Key(text="share that came back", colour=GREEN),
        ),
    )


# --- bars that lie ----------------------------------------------------------------


def _rows(labels: Sequence[str]) -> tuple[_Json, list[_Json]]:
    """The axis of rows from the top down, and the labels that stand above them: that needs no margin."""
    notes = [
        _note(label, xref="paper", x=0, y=-row, yanchor="bottom", yshift=8, align="left")
        for row, label in enumerate(labels)
    ]
    axis = _axis(range=[0.3 - len(labels), 0.8], showticklabels=False, showgrid=False, automargin=False)
    return axis, notes


_QUARTERS: Final = (0, 25, 50, 75, 100)
OUTCOMES: Final = {
    "worked_on_again": ("worked on again", RED),
    "resolved": ("resolved without more work", GREEN),
    "nothing_more": ("nothing more", GREY),
}


def draw_closures(found: Iterable[Closures]) -> Chart:
    """What became of the cases that each timer would have closed, in shares of them."""
    closing = [each for each in found if each.cases]
    axis, notes = _rows([_short(f"{each.timer}: {counted(each.cases, 'case')}") for each in closing])
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [-row for row in range(len(closing))],
            "x": [round(100 * getattr(each, outcome) / each.cases, 3) for each in closing],
            "width": 0.34,
            "marker": {"color": colour},
            "customdata": [getattr(each, outcome) for each in closing],
            "hovertemplate": f"{text}: %{{customdata:,}} (%{{x:.1f}} %)<extra></extra>",
        }
        for outcome, (text, colour) in OUTCOMES.items()
    ]
    height = 48 + 62 * len(closing)
    return Chart(
        id="closures",
        alt="Bars: what became of the cases that each timer would have closed, in shares of them.",
        height=height,
        figure=_figure(
            data,
            height,
            barmode="stack",
            margin={"l": 14, "r": 24, "t": 4, "b": 28},
            xaxis=_axis(range=[0, 100], tickvals=list(_QUARTERS), ticktext=[f"{at} %" for at in _QUARTERS]),
            yaxis=axis,
            annotations=notes,
        ),
        legend=tuple(Key(text=text, colour=colour) for text, colour in OUTCOMES.values()),
    )


def draw_times(found: Sequence[tuple[str, TimeInState]]) -> Chart:
    """How long stays lasted, by the label of their state: most of them, half of them, the median."""

    def seconds(row: TimeInState, share: float) -> float:
        # A logarithmic axis has no 0.
        return max(1.0, row.quantiles[share].total_seconds())

    axis, notes = _rows([_short(label) for label, _ in found])
    for note, (_, row) in zip(notes, found, strict=True):
        counts = f"{grouped(row.ended)} ended, {grouped(row.still)} not yet"
        said = f"median {lasting(row.quantiles[0.5])}; {counts}"
        note["text"] += f'<br><span style="font-size: 12px">{said}</span>'

    def span(low: float, high: float, width: int, colour: str) -> _Json:
        x: list[float | None] = []
        y: list[int | None] = []
        for place, (_, row) in enumerate(found):
            x += [seconds(row, low), seconds(row, high), None]
            y += [-place, -place, None]
        line = {"color": colour, "width": width}
        return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip"}

    texts = [[lasting(row.quantiles[share]) for share in (0.1, 0.25, 0.5, 0.75, 0.9)] for _, row in found]
    data: list[_Json] = [
        span(0.1, 0.9, 3, BLUE),
        span(0.25, 0.75, 11, BLUE),
        {
            "type": "scatter",
            "mode": "markers",
            "x": [seconds(row, 0.5) for _, row in found],
            "y": [-place for place in range(len(found))],
            "marker": {"size": 13, "color": "#ffffff", "line": {"color": "#1b1f24", "width": 2.5}},
            "customdata": texts,
            "hovertemplate": "half up to %{customdata[2]}<br>middle half %{customdata[1]} to "
            "%{customdata[3]}<br>80 of 100 %{customdata[0]} to %{customdata[4]}<extra></extra>",
        },
    ]
    longest = max(seconds(row, 0.9) for _, row in found)
    ends = [seconds(row, 0.1) for _, row in found] + [longest]
    ticks = {at: text for at, text in _TICKS.items() if min(ends) / 3 <= at <= longest * 3}
    height = 48 + 66 * len(found)
    return Chart(
        id="times",
        alt="How long stays in each state lasted: the median, the middle half, and 80 of 100.",
        height=height,
        figure=_figure(
            data,
            height,
            margin={"l": 14, "r": 24, "t": 4, "b": 28},
            xaxis=_axis(type="log", tickvals=list(ticks), ticktext=list(ticks.values()), tickangle=0),
            yaxis=axis,
            annotations=notes,
        ),
        legend=(
            Key(text="median", colour="#ffffff", shape="dot"),
            Key(text="the middle half", colour=BLUE, shape="thick"),
            Key(text="80 of 100", colour=BLUE, shape="thin"),
        ),
    )
