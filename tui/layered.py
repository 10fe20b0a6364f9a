"""Draws a directed graph with box characters: layers from left to right, what leads to something left of it. Pure.

Links of one source share a line, which branches; lines of different sources never meet, every one comes in on a row of
its own. A line that another crosses is interrupted by it: `─│─` is a crossing, `┼` and the like are branches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

WIDEST = 36
"""Of a box's text, in cells."""
_SWEEPS = 6
_BORDERS = 2
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = " │││─┘┐┤─└┌├─┴┬┼"
"""By the sides from which a line comes."""


@dataclass(frozen=True)
class Box:
    """A thing of the graph: `title` stands on its border, `lines` inside."""

    id: str
    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Arrow:
    """`source` leads to `target`; `head` is the character in front of the target, which says how."""

    source: str
    target: str
    head: str = "▶"


@dataclass(frozen=True)
class Drawing:
    """The picture, and what is not in it: boxes that nothing leads to or from, and arrows that would lead back."""

    lines: list[str]
    alone: list[Box]
    backwards: list[Arrow]


@dataclass(eq=False)
class _Slot:
    """A place in a layer: a box, or a line on its way past the layer.

    `net` is the box that a line comes from; `entries` are the nets that come in, with the heads they have, top down.
    """

    net: str
    box: Box | None
    entries: list[tuple[str, str]] = field(default_factory=list)
    y: int = 0

    @property
    def height(self) -> int:
        return 1 if self.box is None else max(len(self.box.lines), len(self.entries), 1) + _BORDERS

    @property
    def port(self) -> int:
        """Where lines leave."""
        return self.y + (0 if self.box is None else 1)

    def entry(self, net: str, head: str) -> int:
        """Where a line comes in."""
        return self.y + (0 if self.box is None else 1 + self.entries.index((net, head)))


_Wire = tuple[_Slot, _Slot, str]


def draw(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Drawing:
    """Draw the boxes; what comes first stays up as far as lines allow it."""
    known = {box.id: box for box in boxes}
    usable = list(dict.fromkeys(one for one in arrows if one.source in known and one.target in known))
    forwards = _acyclic(list(known), usable)
    parts = _connected(known, forwards)
    linked = {box.id for part, _ in parts for box in part}
    drawn = set(forwards)
    return Drawing(
        lines=[line for part, own in parts for line in _draw_part(part, own)],
        alone=[box for box in known.values() if box.id not in linked],
        backwards=[arrow for arrow in usable if arrow not in drawn],
    )


def piece_count(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> int:
    """Of how many pieces the lines of a drawing are, one from each layer to the next: what it takes grows with that."""
    known = {box.id: box for box in boxes}
    usable = [one for one in dict.fromkeys(arrows) if one.source in known and one.target in known]
    forwards = _acyclic(list(known), usable)
    depths = _depths(list(known), forwards)
    return sum(depths[arrow.target] - depths[arrow.source] for arrow in forwards)


def _connected(boxes: Mapping[str, Box], arrows: Sequence[Arrow]) -> list[tuple[list[Box], list[Arrow]]]:
    """The parts that no arrow leads between, each with its arrows: what a picture takes grows with more than its size.

    The part that has the first box comes first; boxes without arrows are in none.
    """
    beside: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        beside.setdefault(arrow.source, []).append(arrow)
        beside.setdefault(arrow.target, []).append(arrow)
    part_of: dict[str, int] = {}
    count = 0
    for first in boxes:
        if first in part_of or first not in beside:
            continue
        part_of[first] = count
        ready = [first]
        for here in ready:
            for arrow in beside[here]:
                for end in (arrow.source, arrow.target):
                    if end not in part_of:
                        part_of[end] = count
                        ready.append(end)
        count += 1
    parts: list[tuple[list[Box], list[Arrow]]] = [([], []) for _ in range(count)]
    for box in boxes.values():
        if box.id in part_of:
            parts[part_of[box.id]][0].append(box)
    for arrow in arrows:
        parts[part_of[arrow.source]][1].append(arrow)
    return parts


def _draw_part(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> list[str]:
    layers, wires = _slots(boxes, arrows)
    _order(layers, wires)
    _stack(layers, wires)
    return _paint(layers, wires)


def _acyclic(ids: Sequence[str], arrows: Sequence[Arrow]) -> list[Arrow]:
    """The arrows without those that lead back to where their path came from."""
    following: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        following.setdefault(arrow.source, []).append(arrow)
    kept: list[Arrow] = []
    done: set[str] = set()
    for root in ids:
        if root in done:
            continue
        path = {root: iter(following.get(root, ()))}
        while path:
            here = next(reversed(path))
            for arrow in path[here]:
                if arrow.target in path:
                    continue
                kept.append(arrow)
                if arrow.target not in done:
                    path[arrow.target] = iter(following.get(arrow.target, ()))
                    break
            else:
                del path[here]
                done.add(here)
    return kept


def _depths(ids: Sequence[str], arrows: Sequence[Arrow]) -> Mapping[str, int]:
    """The layer of each box: one behind the last of those that lead to it."""
    waiting = dict.fromkeys(ids, 0)
    following: dict[str, list[str]] = {}
    for arrow in arrows:
        waiting[arrow.target] += 1
        following.setdefault(arrow.source, []).append(arrow.target)
    depths = dict.fromkeys(ids, 0)
    ready = [one for one in ids if not waiting[one]]
    for one in ready:
        for target in following.get(one, ()):
            depths[target] = max(depths[target], depths[one] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return depths


def _slots(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> tuple[list[list[_Slot]], list[list[_Wire]]]:
    """The layers, and the wires from each layer to the next."""
    depths = _depths([box.id for box in boxes], arrows)
    layers: list[list[_Slot]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    slots = {box.id: _Slot(box.id, box) for box in boxes}
    for box in boxes:
        layers[depths[box.id]].append(slots[box.id])
    wires: dict[int, dict[tuple[int, int, str], _Wire]] = {}
    passing: dict[tuple[str, int], _Slot] = {}
    for arrow in arrows:
        target = slots[arrow.target]
        target.entries.append((arrow.source, arrow.head))
        here, last = slots[arrow.source], depths[arrow.target]
        for depth in range(depths[arrow.source] + 1, last + 1):
            there = target
            if depth < last:
                if (arrow.source, depth) not in passing:
                    passing[arrow.source, depth] = _Slot(arrow.source, None)
                    layers[depth].append(passing[arrow.source, depth])
                there = passing[arrow.source, depth]
            head = arrow.head if depth == last else ""
            wires.setdefault(depth - 1, {})[(id(here), id(there), head)] = (here, there, head)
            here = there
    return layers, [list(wires.get(depth, {}).values()) for depth in range(len(layers))]


def _order(layers: list[list[_Slot]], wires: list[list[_Wire]]) -> None:
    """Bring each slot near those it is wired to, back and forth; what is equal keeps its order."""
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        depths = range(1, len(layers)) if forwards else range(len(layers) - 2, -1, -1)
        for depth in depths:
            beside = layers[depth - 1] if forwards else layers[depth + 1]
            places = {id(slot): place for place, slot in enumerate(beside)}
            near: dict[int, list[int]] = {}
            for source, target, _ in wires[depth - 1] if forwards else wires[depth]:
                here, there = (target, source) if forwards else (source, target)
                near.setdefault(id(here), []).append(places[id(there)])
            means = {
                id(slot): sum(near[id(slot)]) / len(near[id(slot)]) if id(slot) in near else float(place)
                for place, slot in enumerate(layers[depth])
            }
            layers[depth].sort(key=lambda slot: means[id(slot)])


def _stack(layers: list[list[_Slot]], wires: list[list[_Wire]]) -> None:
    """Give every slot its row: below the one above it, and level with what leads to it where there is room."""
    for depth, layer in enumerate(layers):
        coming = wires[depth - 1] if depth else []
        leaving = {source.port: source.net for source, _, _ in coming}
        sources: dict[int, list[_Slot]] = {}
        for source, target, _ in coming:
            sources.setdefault(id(target), []).append(source)
        bottom = 0
        for slot in layer:
            near = sources.get(id(slot), [])
            rows = {source.net: source.port for source in near}
            slot.entries.sort(key=lambda entry, rows=rows: rows[entry[0]])  # type: ignore[misc]
            inside = 0 if slot.box is None else 1
            slot.y = max(bottom, round(sum(rows.values()) / len(rows)) - inside if rows else 0)
            while _would_mislead(slot, leaving):
                slot.y += 1
            bottom = slot.y + slot.height


def _would_mislead(slot: _Slot, leaving: Mapping[int, str]) -> bool:
    """Whether another line leaves on a row on which one comes in: they would look like one."""
    entries = slot.entries or ([(slot.net, "")] if slot.box is None else [])
    return any(leaving.get(slot.entry(net, head), net) != net for net, head in entries)


def _paint(layers: list[list[_Slot]], wires: list[list[_Wire]]) -> list[str]:
    rows = max((slot.y + slot.height for layer in layers for slot in layer), default=0)
    canvas = [""] * rows
    for depth, layer in enumerate(layers):
        _append(canvas, _column(layer, rows))
        if depth + 1 < len(layers):
            _append(canvas, _channel(wires[depth], rows))
    return [line.rstrip() for line in canvas]


def _append(canvas: list[str], part: Sequence[str]) -> None:
    for row, text in enumerate(part):
        canvas[row] += text


def _column(layer: Sequence[_Slot], rows: int) -> list[str]:
    """The boxes of a layer, all as wide as the widest."""
    boxes = [slot.box for slot in layer if slot.box is not None]
    text = max((cell_len(line) for box in boxes for line in (*box.lines, f"{box.title}──")), default=0)
    inner = min(WIDEST, text)
    column = [" " * (inner + 4)] * rows
    for slot in layer:
        if slot.box is None:
            column[slot.y] = "─" * (inner + 4)
            continue
        title = _fit(slot.box.title, inner - 2).rstrip()
        content = [*slot.box.lines, *[""] * (slot.height - _BORDERS - len(slot.box.lines))]
        column[slot.y] = f"┌ {title} {'─' * (inner - cell_len(title))}┐"
        for place, line in enumerate(content, start=1):
            column[slot.y + place] = f"│ {_fit(line, inner)} │"
        column[slot.y + slot.height - 1] = f"└{'─' * (inner + 2)}┘"
    return column


def _fit(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


def _channel(wires: Sequence[_Wire], rows: int) -> list[str]:
    """The lines between two layers: each net with bends has a track of its own."""
    nets: dict[str, list[_Wire]] = {}
    for wire in wires:
        nets.setdefault(wire[0].net, []).append(wire)
    tracks = {net: place for place, net in enumerate(_tracks(nets), start=1)}
    width = len(tracks) + 3
    sides = [[0] * width for _ in range(rows)]
    crossed: list[dict[int, str]] = [{} for _ in range(rows)]
    heads: dict[int, str] = {}
    level: list[dict[int, str]] = [{} for _ in range(rows)]
    for net, own in nets.items():
        for source, target, head in own:
            start, end = source.port, target.entry(net, head)
            bend = tracks.get(net, 0)
            for x in range(bend + 1):
                _lie(sides[start], level[start], x, net, is_first=False, is_last=x == bend and start != end)
            for x in range(bend, width):
                _lie(sides[end], level[end], x, net, is_first=x == bend and start != end, is_last=False)
            low, high = sorted((start, end))
            for y in range(low, high + 1):
                if low != high:
                    sides[y][bend] |= (_UP if y > low else 0) | (_DOWN if y < high else 0)
                    crossed[y][bend] = net
            if head:
                heads[end] = head
    lines = []
    for y in range(rows):
        cells = [_LINES[one] for one in sides[y]]
        for x, net in crossed[y].items():
            if sides[y][x] == _UP | _DOWN | _LEFT | _RIGHT and level[y].get(x) != net:
                cells[x] = "│"
        if y in heads:
            cells[-1] = heads[y]
        lines.append("".join(cells))
    return lines


def _lie(sides: list[int], level: dict[int, str], x: int, net: str, *, is_first: bool, is_last: bool) -> None:
    """A piece of a level line; where it begins or ends at a bend, only one of its sides is there."""
    sides[x] |= (0 if is_first else _LEFT) | (0 if is_last else _RIGHT)
    level[x] = net


def _tracks(nets: Mapping[str, Sequence[_Wire]]) -> list[str]:
    """The nets that bend, in the order in which their tracks cross each other least."""

    def lean(net: str) -> tuple[bool, int]:
        start = nets[net][0][0].port
        downwards = sum(target.entry(net, head) - start for _, target, head in nets[net]) > 0
        return downwards, -start if downwards else start

    bending = [
        net for net, own in nets.items() if any(target.entry(net, h) != source.port for source, target, h in own)
    ]
    return sorted(bending, key=lean)
