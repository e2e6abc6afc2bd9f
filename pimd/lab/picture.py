"""A picture of a lab as it is now: machines, cables, links, and the routes to one destination."""

from collections.abc import Iterator, Sequence
from html import escape

from pimd.lab.daemon import LabDaemon
from pimd.lab.graph import by_links, next_hop
from pimd.lab.lab import Lab
from pimd.lab.liars import LyingNode
from pimd.lab.streams import Cable
from pimd.lab.topology import Position, circle

SIZE = 900
MARGIN = 50
STYLE = """
text { font: 11px sans-serif; text-anchor: middle; dominant-baseline: central; }
.cable { stroke: #bbb; stroke-width: 1.5; }
.idle { stroke: #bbb; stroke-width: 1.5; stroke-dasharray: 2 4; }
.cut { stroke: #d33; stroke-width: 1.5; stroke-dasharray: 6 4; }
.route { stroke: #16c; stroke-width: 2.5; marker-end: url(#tip); }
.node { fill: #fff; stroke: #333; stroke-width: 1.5; }
.destination { fill: #cdf; stroke: #16c; stroke-width: 3; }
.silent { fill: #fff; stroke: #333; stroke-width: 1.5; stroke-dasharray: 3 3; }
.liar { fill: #fcc; stroke: #d33; stroke-width: 2; }
.dead { fill: #999; stroke: #555; stroke-width: 1.5; }
"""
ARROW = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="5" markerHeight="5" orient="auto">'
    '<path d="M0 0 L10 5 L0 10 z" fill="#16c"/></marker></defs>'
)
LEGEND = (
    ("node", "relays"),
    ("silent", "does not relay"),
    ("liar", "lies"),
    ("dead", "is down"),
    ("destination", "destination of the arrows"),
)
LINES = (
    ("cable", "cable with a link over it"),
    ("idle", "cable without a link"),
    ("cut", "cable that is cut"),
    ("route", "next hop"),
)


def draw(lab: Lab, destination: LabDaemon | None = None) -> str:
    """Return SVG; the arrows are the next hops to `destination`, the first daemon unless given."""
    daemons = list(lab.daemons.values())
    goal = destination or (daemons[0] if daemons else None)
    radius = max(9.0, min(16.0, SIZE / (3 * len(daemons) ** 0.5 + 1)))
    at = _places(lab, daemons)
    parts = [
        *(_line(at[one.name], at[other.name], kind) for one, other, kind in _cables(lab)),
        *_arrows(lab, daemons, goal, at, radius),
        *(_node(daemon, at[daemon.name], radius, _kind(daemon, goal)) for daemon in daemons),
        *_legend(lab, goal),
    ]
    width, height = SIZE + 2 * MARGIN, SIZE + 2 * MARGIN + 24 * len(LEGEND)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<style>{STYLE}</style>",
            ARROW,
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _places(lab: Lab, daemons: Sequence[LabDaemon]) -> dict[str, Position]:
    around = dict(zip((daemon.name for daemon in daemons), circle(len(daemons)), strict=True))
    return {name: (MARGIN + SIZE * x, MARGIN + SIZE * y) for name, (x, y) in {**around, **lab.positions}.items()}


def _cables(lab: Lab) -> Iterator[tuple[LabDaemon, LabDaemon, str]]:
    at = {daemon.machine.host.address: daemon for daemon in lab.daemons.values()}
    linked = by_links(lab).around
    for (near, far), cable in lab.internet.cables.items():
        one, other = at[near], at[far]
        yield one, other, _cable_kind(cable, is_linked=other.id in linked.get(one.id, ()))


def _cable_kind(cable: Cable, *, is_linked: bool) -> str:
    if not cable.up:
        return "cut"
    return "cable" if is_linked else "idle"


def _kind(daemon: LabDaemon, goal: LabDaemon | None) -> str:
    node = daemon.running
    if node is None:
        return "dead"
    if isinstance(node, LyingNode):
        return "liar"
    if daemon is goal:
        return "destination"
    return "node" if node.service.relays else "silent"


def _arrows(
    lab: Lab, daemons: Sequence[LabDaemon], goal: LabDaemon | None, at: dict[str, Position], radius: float
) -> Iterator[str]:
    for daemon in daemons:
        if goal is not None and daemon is not goal and daemon.running is not None:
            onwards = next_hop(daemon, goal.id)
            if onwards is not None:
                yield _line(at[daemon.name], at[lab.by_id[onwards].name], "route", short_of=radius + 2)


def _line(start: Position, end: Position, kind: str, short_of: float = 0.0) -> str:
    (x1, y1), (x2, y2) = start, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 or 1.0
    dx, dy = (x2 - x1) / length * short_of, (y2 - y1) / length * short_of
    return f'<line class="{kind}" x1="{x1 + dx:.1f}" y1="{y1 + dy:.1f}" x2="{x2 - dx:.1f}" y2="{y2 - dy:.1f}"/>'


def _node(daemon: LabDaemon, place: Position, radius: float, kind: str) -> str:
    x, y = place
    routes = len(daemon.node.service.routes()) if daemon.running is not None else 0
    return (
        f"<g><title>{escape(daemon.name)} {daemon.id}, {routes} routes</title>"
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        f'<text x="{x:.1f}" y="{y:.1f}">{escape(daemon.name)}</text></g>'
    )


def _legend(lab: Lab, goal: LabDaemon | None) -> Iterator[str]:
    top = SIZE + 2 * MARGIN
    for row, (kind, words) in enumerate(LEGEND):
        y = top + 24 * row
        yield f'<circle class="{kind}" cx="{MARGIN}" cy="{y}" r="9"/>'
        yield f'<text x="{MARGIN + 20}" y="{y}" style="text-anchor: start">{words}</text>'
    for row, (kind, words) in enumerate(LINES):
        y = top + 24 * row
        yield _line((MARGIN + SIZE / 2, y), (MARGIN + SIZE / 2 + 40, y), kind)
        yield f'<text x="{MARGIN + SIZE / 2 + 50}" y="{y}" style="text-anchor: start">{words}</text>'
    where = f"t = {lab.now:.3f} s" + (f", routes to {escape(goal.name)}" if goal is not None else "")
    yield f'<text x="{SIZE / 2 + MARGIN}" y="{MARGIN / 2}">{where}</text>'
