"""Pages that several people look at are made once for each state, and never outlive it."""

from explorer.learning.kept_pages import KeptPages


def test_a_page_is_made_once_for_a_state_and_a_choice() -> None:
    pages: KeptPages[int] = KeptPages()
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    first, second, some = object(), object(), object()
    assert [pages.get(first, ("a", 0), None, make) for _ in range(3)] == [0, 0, 0]
    assert pages.get(first, ("a", 24), None, make) == 1
    assert pages.get(first, ("a", 0), some, make) == 2  # among others
    assert pages.get(first, ("a", 0), some, make) == 2
    assert pages.get(second, ("a", 0), some, make) == 3
    assert pages.get(first, ("a", 0), some, make) == 4  # of an older state nothing is kept
    for place in range(200):
        pages.get(first, ("b", place), some, make)
    assert len(pages._pages) <= 64
