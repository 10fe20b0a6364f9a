"""Lineage as a picture of characters and in words; each says everything the other does."""

from collections.abc import Sequence

from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.wire.lineage import LineageNodeResponse, LineageResponse
from tui.layered import Arrow, Box, draw, piece_count

_HEADS = {"success": "▶", "fail": "✗", "freshness": "≈", "runs": "▶", "loads": "▶"}
_LEGEND = {"fail": "✗ starts on failure", "freshness": "≈ waits until it is fresh"}
_VERBS = {
    "success": "on success starts",
    "fail": "on failure starts",
    "freshness": "is waited for by",
    "runs": "runs",
    "loads": "loads",
}


DRAWN_PIECES = 1000
"""Nobody follows more pieces of lines, and drawing them takes long."""


def picture(lineage: LineageResponse) -> list[str]:
    """The graph, a legend where it is needed, and what the picture has no place for; a large graph in words."""
    with_profile = len({node.profile for node in lineage.nodes if node.profile}) > 1
    names = {node.id: _name(node) for node in lineage.nodes}
    boxes = [Box(node.id, node.kind, _lines(node, with_profile=with_profile)) for node in lineage.nodes]
    arrows = [Arrow(link.source, link.target, _HEADS[link.kind]) for link in lineage.links]
    if piece_count(boxes, arrows) > DRAWN_PIECES:
        return [f"{len(arrows):,} links are too much to draw, so in words:", "", *in_words(lineage)]
    drawing = draw(boxes, arrows)
    kinds = {link.kind for link in lineage.links}
    legend = [text for kind, text in _LEGEND.items() if kind in kinds]
    lines = [f"▶ starts, or fills   {'   '.join(legend)}".rstrip(), ""] if drawing.lines else []
    lines += drawing.lines
    if drawing.backwards:
        lines += ["", "and in a circle:"]
        lines += [f"  {names[one.source]} ─{one.head} {names[one.target]}" for one in drawing.backwards]
    if drawing.alone:
        lines += ["", "by themselves:", *(f"  {names[box.id]}" for box in drawing.alone)]
    return lines or ["no jobs, and no data"]


def in_words(lineage: LineageResponse) -> list[str]:
    """One line for each thing, and below it what it leads to."""
    names = {node.id: _name(node, with_profile=True) for node in lineage.nodes}
    led_to: dict[str, list[str]] = {}
    for link in lineage.links:
        led_to.setdefault(link.source, []).append(f"  {_VERBS[link.kind]} {names[link.target]}")
    lines: list[str] = []
    for node in lineage.nodes:
        lines += (names[node.id], *led_to.get(node.id, ()))
    return lines or ["no jobs, and no data"]


def _name(node: LineageNodeResponse, *, with_profile: bool = False) -> str:
    more = [f"on {node.destination}"] if node.destination else []
    more += [f"profile {node.profile}"] if node.profile and with_profile else []
    return clean(f"{node.kind} {short_ref(node.name)}" + (f" ({', '.join(more)})" if more else ""))


def _lines(node: LineageNodeResponse, *, with_profile: bool) -> Sequence[str]:
    lines = [short_ref(node.name)]
    lines += [f"on {node.destination}"] if node.destination else []
    lines += [f"profile {node.profile}"] if node.profile and with_profile else []
    return [clean(line) for line in lines]
