"""The page of the ways of looking and the picker of a new collection, without a browser."""

import pytest

from explorer.collection.dataset import Dataset
from explorer.extractors.registry import families
from explorer.jobs import Jobs
from explorer.web import looks_cards
from explorer.web.looks_shelf import TRIED, ways
from explorer.web.runtime import runtime
from tests.app.test_pages import opened, owner, said  # noqa: F401


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs are put in the queue as ever, and nobody takes them up."""
    found: list[str] = []
    monkeypatch.setattr(Jobs, "start_worker", lambda self, job, workspace=None: found.append(job) or 0)
    return found


def button(app, key):
    return next(each for each in app.button if each.key == key)


def pictures(app) -> list[str]:
    """The strips of pictures on the page."""
    return [
        str(each.proto.body) for each in app.get("html") if "lk-strip" in each.proto.body and "<img" in each.proto.body
    ]


def test_every_way_of_looking_has_a_card_in_plain_words(demo_copy):
    app = opened("looks", d="demo")
    assert not app.exception
    assert not app.error
    words = said(app).replace("\\", "")
    for family in families().values():
        assert family.card.sees.rstrip(".")[1:40] in words, family.name
    assert words.count("all 1,502 pictures") == 2
    assert "not looked at yet" in words
    strips = pictures(app)
    assert len(strips) == 2
    assert all(strip.count("<img") == 6 for strip in strips)
    assert strips[0] != strips[1]


def test_another_example_is_the_same_in_every_card_and_stays_in_the_link(demo_copy):
    app = opened("looks", d="demo")
    before = pictures(app)
    app = next(each for each in app.button if each.label == "Another example").click().run()
    assert not app.exception
    assert app.query_params["look"]
    chosen = app.session_state["view"]["look"]
    after = pictures(app)
    assert not set(before) & set(after)
    for look, expected in ((chosen, after), ("not/there.jpg", before), ("<b>", before), ("", before)):
        app.session_state["view"] = {"d": "demo", "look": look}
        app.run()
        assert not app.exception
        assert pictures(app) == expected


def test_a_trial_is_of_two_hundred_pictures_and_the_example_and_draws_no_map(demo_copy, begun):
    app = opened("looks", d="demo")
    app = button(app, "try-layout").click().run()
    assert not app.exception
    job = runtime().jobs.get(begun[0])
    assert job.args["extractors"] == ["layout"]
    assert job.args["build"] is False
    assert len(set(job.args["only"])) == TRIED
    assert all(button(app, key).disabled for key in ("try-pixels", "all-layout"))


def test_all_pictures_are_looked_at_when_asked(demo_copy, begun):
    app = opened("looks", d="demo")
    button(app, "all-layout").click().run()
    job = runtime().jobs.get(begun[0])
    assert job.args == {"extractors": ["layout"]}


def test_some_layers_of_a_network_are_one_job(demo_copy, begun):
    app = opened("looks", d="demo")
    box = next(each for each in app.multiselect if each.key == "layers-lite0")
    layers = [layer for layer, _ in families()["lite0"].layers]
    app = box.set_value([layers[3], layers[0]]).run()
    button(app, "try-lite0-layers").click().run()
    assert runtime().jobs.get(begun[0]).args["extractors"] == [f"lite0@{layers[0]}", f"lite0@{layers[3]}"]


def test_names_and_files_are_checked_before_anything_begins(demo_copy, begun, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_ROOTS", str(tmp_path))
    app = opened("looks", d="demo")
    fields = {each.key: each for each in app.text_input}
    app = fields["form-vectors"].set_value("/etc/passwd").run()
    assert "outside the folders that may be added here" in app.error[0].value
    assert button(app, "all-vectors").disabled
    fields = {each.key: each for each in app.text_input}
    fields["form-vectors"].set_value("")
    app = fields["form-open_clip"].set_value("ViT-B-32//etc/passwd").run()
    assert "is not a name" in app.error[0].value
    fields = {each.key: each for each in app.text_input}
    fields["form-open_clip"].set_value("ViT-B-32")
    app = fields["form-open_clip-file"].set_value("laion2b_s34b_b79k").run()
    assert not app.error
    fields = {each.key: each for each in app.text_input}
    app = fields["form-open_clip-layers"].set_value("block0, block3").run()
    button(app, "all-open_clip").click().run()
    full = "open_clip:ViT-B-32/laion2b_s34b_b79k"
    assert runtime().jobs.get(begun[0]).args["extractors"] == [f"{full}@block0", f"{full}@block3"]


def test_columns_of_the_table_are_chosen_and_not_typed(demo_copy, begun):
    app = opened("looks", d="demo")
    box = next(each for each in app.multiselect if each.key == "form-columns")
    app = box.set_value(["folder"]).run()
    button(app, "all-columns").click().run()
    assert runtime().jobs.get(begun[0]).args == {"extractors": ["columns:folder"]}


def test_what_is_missing_is_said_on_its_card_until_it_went_well(demo_copy):
    jobs = runtime().jobs
    words = "The weights of 'layout' are not installed: pip install something"
    jobs.give_up(jobs.create("demo", "process", {"extractors": ["layout"]}), words)
    app = opened("looks", d="demo")
    assert not app.exception
    assert [each.value.replace("\\", "") for each in app.error] == [words]
    assert words in said(app).replace("\\", "")
    claim = jobs.claim(jobs.create("demo", "process", {"extractors": ["layout"]}))
    claim.finish("done", report={})
    assert not opened("looks", d="demo").error


def test_what_is_not_installed_cannot_be_begun(demo_copy, monkeypatch):
    monkeypatch.setitem(looks_cards.packages.NEEDS, "layout", ("", {"no_such_module": "no-such-package"}))
    app = opened("looks", d="demo")
    assert button(app, "all-layout").disabled
    assert not button(app, "all-pixels").disabled
    assert "pip install no-such-package" in "\n".join(each.value for each in app.info)


def test_two_are_put_together_with_their_weights_and_steps(demo_copy, begun):
    app = opened("looks", d="demo")
    assert button(app, "joined-start").disabled
    box = next(each for each in app.multiselect if each.key == "joined-names")
    assert set(box.options) == {"What it shows", "Colours"}
    app = box.set_value(["lite0", "colour"]).run()
    slider = next(each for each in app.slider if each.key == "joined-lite0")
    app = slider.set_value(10).run()
    whiten = next(each for each in app.checkbox if each.key == "joined-step-whiten")
    app = whiten.check().run()
    assert "What it shows: 67 %" in said(app)
    button(app, "joined-start").click().run()
    args = runtime().jobs.get(begun[0]).args
    assert args["extractors"] == ["lite0", "colour"]
    (space,) = args["spaces"]
    assert space["steps"] == ["centre", "pca:64", "whiten", "l2"]
    assert dict(space["features"]) == {"lite0": pytest.approx(2 / 3), "colour": pytest.approx(1 / 3)}


def test_the_map_of_a_way_of_looking_is_one_click_away(demo_copy):
    app = opened("looks", d="demo")
    app = button(app, "map-colour").click().run()
    assert not app.exception
    space = ways(runtime(), "demo")["colour"].space
    assert app.query_params["s"] in (space, [space])


def test_a_new_collection_is_compared_by_what_was_ticked(workspace, tmp_path, begun, monkeypatch):
    monkeypatch.setenv("EXPLORER_ROOTS", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    app = opened("datasets")
    ticked = {each.key: each.value for each in app.checkbox}
    assert [key for key, value in ticked.items() if value] == ["pick-lite0", "pick-colour"]
    assert "pick-open_clip" not in ticked
    app = next(each for each in app.checkbox if each.key == "pick-layout").check().run()
    app = next(each for each in app.checkbox if each.key == "pick-lite0").uncheck().run()
    assert "Every 1,000 pictures take" in said(app)
    next(each for each in app.text_input if each.label.startswith("Folder")).set_value(str(tmp_path / "pictures"))
    app = next(each for each in app.button if each.label == "Add").click().run()
    assert not app.error
    assert sorted(runtime().jobs.get(begun[0]).args["extractors"]) == ["colour", "layout"]


def test_a_collection_without_pictures_looked_at_says_so(workspace, tmp_path):
    (tmp_path / "pictures").mkdir()
    Dataset.create(workspace, "fresh", {"kind": "folder", "path": str(tmp_path / "pictures")})
    app = opened("looks")
    assert not app.exception
    assert "is not ready yet" in said(app)
