"""The library on the command line, and how names are written there."""

import json

import pytest

from explorer import cli
from explorer.collection import own
from explorer.extractors.registry import families


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("lite0,colour", ["lite0", "colour"]),
        (" lite0 , ,colour@x", ["lite0", "colour@x"]),
        ("lite0,columns:price,date,colour", ["lite0", "columns:price,date", "colour"]),
        ("columns:price,colour;lite0", ["columns:price,colour", "lite0"]),
        ("nonsense,colour", ["nonsense", "colour"]),
    ],
)
def test_names_are_told_apart(text, names):
    assert cli._names(text) == names


def test_the_library_is_listed(capsys):
    assert cli.main(["looks"]) == 0
    told = capsys.readouterr().out
    for family in families().values():
        assert f"  {family.written or family.name} " in told
        assert family.card.title in told
    assert cli.main(["looks", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == len(families()) + len(own.CARDS)
    assert {"name", "title", "aspect", "sees", "ignores", "licence", "state", "layers", "runs_here"} == set(found[0])


def test_an_unknown_name_is_a_sentence(workspace, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    assert cli.main(["add", str(tmp_path / "pictures"), "--extractors", "nonsense"]) == 2
    assert "There is no extractor 'nonsense'" in capsys.readouterr().err
