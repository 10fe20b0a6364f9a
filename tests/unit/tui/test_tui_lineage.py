"""Lineage as a picture and in words."""

from runtime.wire.lineage import LineageLinkResponse, LineageNodeResponse, LineageResponse
from tui.lineage import DRAWN_PIECES, in_words, picture


def make_lineage(links: list[tuple[int, int]]) -> LineageResponse:
    """Jobs by numbers, of which some start others."""
    numbers = sorted({end for link in links for end in link})
    return LineageResponse(
        nodes=[LineageNodeResponse(id=f"n{one}", kind="job", name=f"jobs.shop.n{one}") for one in numbers],
        links=[LineageLinkResponse(source=f"n{a}", target=f"n{b}", kind="success") for a, b in links],
    )


def test_parts_that_have_nothing_to_do_with_each_other_stand_below_each_other_each_as_narrow_as_it_is_alone() -> None:
    one, other = make_lineage([(1, 2)]), make_lineage([(3, 5), (4, 5), (3, 6)])
    both = picture(make_lineage([(1, 2), (3, 5), (4, 5), (3, 6)]))
    assert both == [*picture(one), *picture(other)[2:]]


def test_what_is_too_large_to_be_drawn_is_told_in_words() -> None:
    """Whether it is many links, or few that pass by much else."""
    small = make_lineage([(0, number) for number in range(1, DRAWN_PIECES + 1)])
    assert picture(small)[0].startswith("▶ starts")
    many = make_lineage([(0, number) for number in range(1, DRAWN_PIECES + 2)])
    assert picture(many) == [f"{DRAWN_PIECES + 1:,} links are too much to draw, so in words:", "", *in_words(many)]
    far = make_lineage([(number, number + 1) for number in range(50)] + [(number, 50) for number in range(48)])
    assert picture(far)[0] == "98 links are too much to draw, so in words:"
