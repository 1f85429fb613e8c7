"""A filter fits into a link, comes back the same, and lets through what it says."""

import numpy as np
import pandas as pd
import pytest

from explorer.errors import BadInput
from explorer.web.filters import Filter, choices

ITEMS = pd.DataFrame(
    {
        "uid": ["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"],
        "caption": ["red tree", "blue Tree", "red car", "boat"],
        "meta:folder": ["a", "a", "b", None],
        "meta:year": [1901.0, 1902.0, np.nan, 1901.0],
    }
)


def test_a_filter_survives_the_link():
    chosen = Filter({"folder": ("a", 'b"|{')}, "red & <tree>")
    assert Filter.parse(str(chosen)) == chosen
    assert str(Filter()) == ""
    assert not Filter.parse("")


def test_values_of_a_column_are_alternatives_and_columns_add_up():
    assert Filter({"folder": ("a", "b")}).mask(ITEMS).tolist() == [True, True, True, False]
    assert Filter({"folder": ("a", "b"), "year": ("1901",)}).mask(ITEMS).tolist() == [True, False, False, False]


def test_every_word_must_be_in_caption_or_name_whatever_its_case():
    assert Filter(words="tree").mask(ITEMS).tolist() == [True, True, False, False]
    assert Filter(words="RED b/").mask(ITEMS).tolist() == [False, False, True, False]


def test_a_column_that_is_gone_hides_nothing():
    assert Filter({"colour": ("x",)}).mask(ITEMS).all()


@pytest.mark.parametrize("text", ["{", "[]", '{"in": 3}', '{"in": {"a": 5}}', '{"in":{"a":["' + "x" * 5000 + '"]}}'])
def test_a_damaged_filter_is_a_clear_error(text):
    with pytest.raises(BadInput, match="filter in this link"):
        Filter.parse(text)


def test_choices_count_and_leave_the_empty_value_out():
    assert choices(ITEMS, "folder") == [("a", 2), ("b", 1)]
    assert choices(ITEMS, "year") == [("1901", 2), ("1902", 1)]
