"""A filter fits into a link, comes back the same, and asks of each facet what it says."""

import pytest

from explorer.collection.facets import Condition
from explorer.errors import BadInput
from explorer.web.filters import Filter


def test_a_filter_survives_the_link():
    chosen = Filter(
        {"folder": ("a", 'b"|{')}, "red & <tree>", {"year": (1900, None), "day": (None, "2019-05")}, {"x": "é"}
    )
    assert Filter.parse(str(chosen)) == chosen
    assert str(Filter()) == ""
    assert not Filter.parse("")
    assert Filter.parse('{"in":{"folder":["a"]},"words":"tree"}') == Filter({"folder": ("a",)}, "tree"), "older links"
    asked = Filter({"year": ("",)}, between={"year": (1, 2)}, has={"x": "y"}).conditions()
    assert asked == {"year": Condition(("",), (1, 2)), "x": Condition(has="y")}


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"in": 3}', '{"in": {"a": 5}}', '{"in":{"a":["' + "x" * 5000 + '"]}}', '{"between":{"a":[1]}}',
        '{"between":{"a":[1,[2]]}}', '{"between":{"a":[true,2]}}', '{"has":["a"]}', "[" * 3900,
        '{"has":{' + ",".join(f'"{n}":"x"' for n in range(41)) + "}}",
    ],
)  # fmt: skip
def test_a_damaged_filter_is_a_clear_error(text):
    with pytest.raises(BadInput, match="filter in this link"):
        Filter.parse(text)
