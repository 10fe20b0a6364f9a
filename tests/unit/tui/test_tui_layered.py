"""Graphs drawn with box characters: boxes, branches, crossings, and nothing left out."""

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from tui.layered import Arrow, Box, draw

_STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_BACK = {"up": "down", "down": "up", "left": "right", "right": "left"}
_OPEN = {
    "─": {"left", "right"},
    "│": {"up", "down"},
    "┐": {"left", "down"},
    "┘": {"left", "up"},
    "┌": {"right", "down"},
    "└": {"right", "up"},
    "├": {"up", "down", "right"},
    "┤": {"up", "down", "left"},
    "┬": {"left", "right", "down"},
    "┴": {"left", "right", "up"},
    "┼": {"up", "down", "left", "right"},
}


def boxes(*names: str) -> list[Box]:
    return [Box(name, "job", [name]) for name in names]


def drawn(picture: str) -> list[str]:
    return textwrap.dedent(picture).strip("\n").splitlines()


def test_a_line_branches_to_what_a_box_leads_to() -> None:
    shop = [*boxes("load", "report"), Box("shop", "pipeline", ["shop"]), Box("data", "dataset", ["data", "on duck"])]
    arrows = [Arrow("load", "report"), Arrow("load", "shop"), Arrow("shop", "data")]
    assert draw(shop, arrows).lines == drawn(
        """
        ┌ job ──┐    ┌ job ───────┐
        │ load  │─┬─▶│ report     │
        └───────┘ │  └────────────┘
                  │  ┌ pipeline ──┐   ┌ dataset ──┐
                  └─▶│ shop       │──▶│ data      │
                     └────────────┘   │ on duck   │
                                      └───────────┘
        """
    )


def test_heads_say_how_something_is_led_to() -> None:
    """Each kind comes in on a row of its own."""
    lines = draw(boxes("a", "b", "c"), [Arrow("a", "c"), Arrow("b", "c", "✗")]).lines
    assert [line[line.index("c") - 3] for line in lines if "│ c" in line] == ["▶"]
    assert sum("✗│" in line for line in lines) == 1


def test_what_leads_back_and_what_stands_alone_is_told_apart() -> None:
    drawing = draw(boxes("a", "b", "alone"), [Arrow("a", "b"), Arrow("b", "a"), Arrow("a", "nowhere")])
    assert drawing.backwards == [Arrow("b", "a")]
    assert [box.id for box in drawing.alone] == ["alone"]
    assert drawing.lines[1] == "│ a     │──▶│ b     │"


def test_nothing_is_drawn_of_nothing_and_long_names_are_cut() -> None:
    assert draw([], []).lines == []
    lines = draw([Box("a", "job", ["x" * 90]), Box("b", "job", ["b"])], [Arrow("a", "b")]).lines
    assert "xxx…" in lines[1]
    assert max(map(len, lines)) < 70


@given(st.integers(2, 9).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_lines_lead_from_each_box_to_exactly_what_it_leads_to(graph: tuple[int, set[tuple[int, int]]]) -> None:
    """Whoever follows a line from a box, straight on where another crosses it, reaches its targets and no others."""
    count, pairs = graph
    arrows = [Arrow(f"n{a}", f"n{b}") for a, b in sorted(pairs) if a < b]
    lines = draw(boxes(*(f"n{number}" for number in range(count))), arrows).lines
    for number in range(count):
        wanted = {arrow.target for arrow in arrows if arrow.source == f"n{number}"}
        assert reached(lines, f"n{number}") == wanted, "\n".join(lines)


def reached(lines: list[str], name: str) -> set[str]:
    """The boxes to which lines lead from a box."""
    width = max(map(len, lines), default=0)
    grid = [line.ljust(width) for line in lines]
    row = next((row for row, line in enumerate(grid) if f"│ {name} " in line), None)
    if row is None:
        return set()
    start = grid[row].index(f"│ {name} ") + len("│ job ──┐") - 1
    if start + 1 >= width or grid[row][start + 1] not in _OPEN:
        return set()
    found: set[str] = set()
    pending, seen = [(row, start + 1, "right")], set()
    while pending:
        y, x, heading = pending.pop()
        if (y, x, heading) in seen or not (0 <= y < len(grid) and 0 <= x < width):
            continue
        seen.add((y, x, heading))
        sign = grid[y][x]
        if sign == "▶":
            while not grid[y][x + 2 :].split("│")[0].strip():
                y -= 1  # lines may come in below the name
            found.add(grid[y][x + 2 :].split("│")[0].strip())
            continue
        ways = _OPEN.get(sign, set())
        if _BACK[heading] not in ways and heading in ("left", "right") and sign == "│":
            ways = {"left", "right"}  # the other line interrupts this one
        for way in ways - {_BACK[heading]}:
            dy, dx = _STEPS[way]
            pending.append((y + dy, x + dx, way))
    return found
