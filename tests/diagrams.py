"""Draws a state machine as SVG text: states in a column, one line to each state that is led to.

What leads down runs on the right of the column, what leads up on the left. All transitions to one
state share one line there, with one arrow at its end; a transition's name stands where it leaves
its state. So nothing overlaps whatever the machine, and nobody places anything by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

ROW, GAP, CHAR, LANE, MARGIN = 18, 22, 6.7, 18, 14


@dataclass(frozen=True, slots=True)
class Arrow:
    """A transition: from a state, by a trigger, to a state."""

    source: str
    trigger: str
    target: str


@dataclass(slots=True)
class _Side:
    """What runs on one side of the column: rows of labels by state, lanes by target."""

    labels: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    lanes: dict[str, int] = field(default_factory=dict[str, int])

    def rows(self, state: str) -> list[tuple[str, str]]:
        """The ports of a state from top to bottom: (source, target)."""
        leaving = [pair for pair in self.labels if pair[0] == state]
        return [*([("", state)] if state in self.lanes else []), *leaving]

    @property
    def label_width(self) -> float:
        return max((len(label) for label in self.labels.values()), default=0) * CHAR + 12

    @property
    def width(self) -> float:
        return self.label_width + LANE * len(self.lanes) + 8 if self.labels else 0.0


def svg(title: str, states: Sequence[str], arrows: Sequence[Arrow]) -> str:
    """Draw a machine; `states` from top to bottom, the first is where it begins."""
    down, up, loops = _sides(states, arrows)
    box = max(120.0, *((len(loop) + 3) * CHAR for loop in loops.values()), 0.0)
    tops, heights, y = dict[str, float](), dict[str, float](), float(MARGIN)
    for state in states:
        rows = max(len(down.rows(state)), len(up.rows(state)), 1 + (state in loops))
        tops[state], heights[state] = y, rows * ROW + 8.0
        y += heights[state] + GAP
    left = MARGIN + up.width
    width, height = left + box + down.width + MARGIN, y - GAP + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    parts += _lines(down, tops, left + box, 1)
    parts += _lines(up, tops, left, -1)
    for index, state in enumerate(states):
        parts += _box(state, (left, tops[state], box, heights[state]), loops.get(state), index == 0)
    return "\n".join([*parts, "</svg>", ""])


def _sides(states: Sequence[str], arrows: Sequence[Arrow]) -> tuple[_Side, _Side, dict[str, str]]:
    down, up, loops = _Side(), _Side(), dict[str, str]()
    place = {state: index for index, state in enumerate(states)}
    for arrow in sorted(arrows, key=lambda arrow: (place[arrow.source], place[arrow.target])):
        if arrow.source == arrow.target:
            before = loops.get(arrow.source)
            loops[arrow.source] = f"{before}, {arrow.trigger}" if before else arrow.trigger
            continue
        side = down if place[arrow.target] > place[arrow.source] else up
        pair = arrow.source, arrow.target
        before = side.labels.get(pair)
        side.labels[pair] = f"{before}, {arrow.trigger}" if before else arrow.trigger
    for side in (down, up):
        # The shorter its line, the nearer it runs.
        reach = dict[str, int]()
        for source, target in side.labels:
            reach[target] = max(reach.get(target, 0), abs(place[source] - place[target]))
        for target in sorted(reach, key=lambda target: (reach[target], place[target])):
            side.lanes[target] = len(side.lanes)
    return down, up, loops


def _lines(side: _Side, tops: dict[str, float], x: float, way: int) -> list[str]:
    """The lines of one side, which begins at `x` and goes right (1) or left (-1)."""
    parts: list[str] = []
    ports: dict[str, list[float]] = {}
    for state, top in tops.items():
        for row, (source, target) in enumerate(side.rows(state)):
            y = top + 4 + row * ROW + ROW / 2
            lane = x + way * (side.label_width + LANE * side.lanes[target])
            ports.setdefault(target, []).append(y)
            parts.append(f'<path d="M{x:.1f} {y:.1f}H{lane:.1f}" fill="none" stroke="#567"/>')
            if source:
                anchor = "start" if way == 1 else "end"
                label = escape(side.labels[source, target])
                parts.append(
                    f'<text x="{x + way * 6:.1f}" y="{y - 3:.1f}" text-anchor="{anchor}">'
                    f"{label}</text>"
                )
            else:
                tip = f"M{x:.1f} {y:.1f}l{way * 8} -4v8z"
                parts.append(f'<path d="{tip}" fill="#567"/>')
    for target, ys in ports.items():
        lane = x + way * (side.label_width + LANE * side.lanes[target])
        parts.append(
            f'<path d="M{lane:.1f} {min(ys):.1f}V{max(ys):.1f}" fill="none" stroke="#567"/>'
        )
        # Where lines join; where there is no dot they cross.
        for y in sorted(ys)[1:-1]:
            parts.append(f'<circle cx="{lane:.1f}" cy="{y:.1f}" r="2.5" fill="#567"/>')
    return parts


def _box(
    state: str, place: tuple[float, float, float, float], loop: str | None, is_first: bool
) -> list[str]:
    x, top, width, height = place
    middle, stroke = x + width / 2, 2 if is_first else 1
    y = top + height / 2 + 4 - (ROW / 2 if loop else 0)
    parts = [
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5" '
        f'fill="#eef3f8" stroke="#345" stroke-width="{stroke}"/>',
        f'<text x="{middle:.1f}" y="{y:.1f}" text-anchor="middle" font-weight="bold" '
        f'font-size="12">{escape(state)}</text>',
    ]
    if loop:
        parts.append(
            f'<text x="{middle:.1f}" y="{y + ROW:.1f}" text-anchor="middle" fill="#567">'
            f"\u21bb {escape(loop)}</text>"
        )
    return parts
