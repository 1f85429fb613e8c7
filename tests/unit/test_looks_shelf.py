"""The shelf of ways of looking: how far each is, what is near an example, what is tried, what failed, what it reads."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.errors import BadInput, Refused
from explorer.extractors import packages
from explorer.extractors.base import ASPECTS, FeatureSpec
from explorer.extractors.registry import families, load
from explorer.jobs import Job
from explorer.processing import process
from explorer.space.space import list_spaces
from explorer.status import in_use, library
from explorer.web.looks_forms import checked, weights_of
from explorer.web.looks_pictures import kept_chart, strip
from explorer.web.looks_shelf import NEAR, examples, present_of, shelf, title, tried, ways
from explorer.web.looks_work import failures, put_together
from explorer.web.runtime import Runtime
from explorer.workspace import Workspace

CLIPART = Path(__file__).resolve().parents[2] / "data" / "clipart"
ROOT = CLIPART.parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty drawings, one of them there twice, all looked at by their colours."""
    root = tmp_path_factory.mktemp("shelf")
    folder, workspace = root / "pictures", Workspace(root / "workspace")
    folder.mkdir()
    workspace.root.mkdir()
    files = sorted((CLIPART / "animals").glob("*.jpg"))[:40]
    for file in files:
        shutil.copyfile(file, folder / file.name)
    shutil.copyfile(files[0], folder / "a copy.jpg")
    Dataset.create(workspace, "pictures", {"kind": "folder", "path": str(folder)}, dataset_id="pictures")
    process(workspace, "pictures", {"extractors": ["colour"]}, lambda _: None, lambda: False)
    return root


@pytest.fixture
def world(made: Path, workspace: Workspace) -> Runtime:
    shutil.copytree(made / "workspace", workspace.root, dirs_exist_ok=True)
    return Runtime(workspace)


def job(name: str, state: str, error: str = "", **args: object) -> Job:
    return Job(
        id=name, dataset_id="pictures", kind="process", args={"extractors": [name], **args}, state=state,  # type: ignore[arg-type]
        progress={}, report={}, error=error, cancel_requested=False, pid=None, created=0, started=None, finished=None,
    )  # fmt: skip


def test_near_is_the_same_from_the_space_and_from_the_rows_alone(world: Runtime):
    way = ways(world, "pictures")["colour"]
    assert way.whole
    assert way.space
    assert way.seen == 41
    alike = 0
    for uid in way.present.uids:
        built = way.near(world, "pictures", uid)
        alone = way._from_store(way.present.places[uid])
        assert built is not None
        assert len(built.uids) == len(alone.uids) == NEAR
        assert uid not in built.uids
        alike += len(set(built.uids) & set(alone.uids))
    assert alike >= 0.98 * NEAR * 41


def test_what_is_near_is_never_the_same_picture_again(world: Runtime):
    way = ways(world, "pictures")["colour"]
    name = dict(zip(way.present.uids, way.names.tolist(), strict=True))
    for uid in way.present.uids:
        for near in (way.near(world, "pictures", uid), way._from_store(way.present.places[uid])):
            assert near is not None
            found = [name[each] for each in near.uids]
            assert len({*found, name[uid]}) == NEAR + 1


def test_a_trial_is_seen_as_one_and_the_example_is_among_what_all_have_seen(world: Runtime):
    dataset = world.dataset("pictures")
    present = present_of(world, "pictures")
    assert len(examples(ways(world, "pictures"), present)) == 41
    few = tried(present, present.uids[-1], 12)
    assert len(few) == len(set(few)) == 12
    assert present.uids[-1] in few
    assert few == tried(present, few[3], 12) or set(few) - set(tried(present, few[3], 12)) == {present.uids[-1]}

    extractor = load("colour")
    store = dataset.features(extractor.spec)
    lacking = dataset.features(replaced(extractor.spec))
    hashes = list(dict.fromkeys(present.items["content_hash"].iloc[:10]))
    with dataset.writing(), lacking.writer() as writer:
        for name, row in zip(hashes, store.get(hashes), strict=True):
            writer.append(name, row)
    found = ways(world, "pictures")
    trial = found["other"]
    assert (trial.whole, trial.space) == (False, "")
    assert trial.seen == present.items["content_hash"].isin(hashes).sum()
    common = {present.uids[place] for place in examples(found, present)}
    assert common == {uid for uid, has in zip(present.uids, trial.mask, strict=True) if has}
    near = trial.near(world, "pictures", present.uids[0])
    assert near is not None
    assert near.among == len(hashes)
    outside = next(uid for uid in present.uids if uid not in common)
    assert trial.near(world, "pictures", outside) is None
    # what is no longer among the families still has its place, under its own name
    entries = [entry for listed in shelf(found).values() for entry in listed]
    assert [entry.title for entry in entries if entry.way is trial] == ["other"]


def replaced(spec: FeatureSpec) -> FeatureSpec:
    """The same under another name, which no family has."""
    return replace(spec, extractor="other")


def test_more_rows_are_seen_at_once_and_what_was_found_near_is_kept(world: Runtime):
    first = ways(world, "pictures")["colour"]
    assert ways(world, "pictures")["colour"] is first
    uid = first.present.uids[3]
    assert first.near(world, "pictures", uid) is first.near(world, "pictures", uid)
    dataset = world.dataset("pictures")
    shutil.rmtree(dataset.features(first.key).folder)
    assert "colour" not in ways(world, "pictures")
    embed(dataset, [load("colour")])
    later = ways(world, "pictures")["colour"]
    assert later is not first
    assert later.seen == 41


def test_everything_in_the_registry_has_its_place_on_the_shelf(world: Runtime):
    listed = shelf(ways(world, "pictures"))
    assert list(listed) == [aspect for aspect in ASPECTS if aspect in listed]
    entries = [entry for some in listed.values() for entry in some]
    assert {entry.family for entry in entries} >= {*families(), "columns", "vectors"}
    assert [entry.name for entry in entries if entry.way is not None] == ["colour"]
    assert all(entry.name == "" for entry in entries if entry.family in ("open_clip", "columns", "vectors"))


def test_what_failed_is_told_until_it_went_well():
    jobs = [
        job("style", "running"),
        job("style", "failed", "no"),
        job("lite0", "done"),
        job("lite0", "failed", "before"),
        job("onnx:x", "failed", "no file"),
        job("onnx:x", "done"),
    ]
    assert failures(jobs) == {"style": "no", "onnx:x": "no file"}
    half = replace(job("colour", "done"), args={"extractors": ["colour", "text_what"]})
    half = replace(half, report={"failed": {"text_what": "not installed", "elsewhere": "x"}})
    assert failures([half, job("colour", "failed", "before")]) == {"text_what": "not installed"}


def test_looking_for_changes_goes_by_what_is_compared_and_not_by_what_was_tried(world: Runtime):
    dataset = world.dataset("pictures")
    spec = replaced(load("colour").spec)
    with dataset.writing(), dataset.features(spec).writer() as writer:
        writer.append(dataset.present()["content_hash"].iloc[0], np.ones(spec.dim, np.float32))
    assert len(list_spaces(dataset)) == 1
    assert in_use(dataset, []) == ["colour"]
    assert in_use(dataset, [job("lite0", "cancelled")]) == ["colour", "lite0"]
    assert in_use(dataset, [job("lite0", "cancelled", only=["a"])]) == ["colour"]
    shutil.rmtree(dataset.root / "spaces")
    assert in_use(dataset, []) == ["colour", "other"]


@pytest.mark.parametrize(
    "name",
    [
        "ViT-B-32//etc/passwd",
        "ViT-B-32/mine.pt",
        "~/x",
        "../x",
        "a/../b",
        "/etc/passwd",
        "local-dir:/etc",
        "a\\b",
        "local-dir:etc",
        "hf-hub:local-dir:etc/x",
        "hf-hub:a/b/c",
        "x@y",
        "..",
        "hf-hub:",
        "README.md",
    ],
)
def test_a_typed_name_is_never_a_file_of_this_computer(name):
    with pytest.raises(BadInput, match="not a name"):
        checked(name)


def test_names_of_hubs_are_names_and_files_lie_below_the_allowed_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_ROOTS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.safetensors").touch()
    (tmp_path / "other.pt").touch()
    assert checked(" hf-hub:org/name ") == "hf-hub:org/name"
    assert checked("resnet50.a1_in1k") == "resnet50.a1_in1k"
    assert weights_of("laion2b_s34b_b79k") == "laion2b_s34b_b79k"
    assert weights_of(str(tmp_path / "mine" / "net.safetensors")) == str(tmp_path / "mine" / "net.safetensors")
    with pytest.raises(Refused, match="outside the folders"):
        weights_of(str(tmp_path / "other.pt"))
    with pytest.raises(BadInput, match="There is nothing at"):
        weights_of(str(tmp_path / "mine" / "gone.pt"))


def test_files_are_called_by_their_names_alone():
    named = {
        "onnx:/home/me/net.onnx?size=64": "Your own network (ONNX) (net.onnx?size=64)",
        "timm:resnet18//home/me/mine.pt@block0": "What it shows, a network by name (resnet18, mine.pt, block0)",
        "timm:hf-hub:org/name": "What it shows, a network by name (hf-hub:org/name)",
        "open_clip:ViT-B-32/openai": "What it shows, and text (ViT-B-32/openai)",
        "vectors:/home/me/mine.npy": "Your own vectors (mine.npy)",
        "columns:price,date": "Your own columns (price, date)",
    }
    assert {name: title(name) for name in named} == named


def test_what_is_lacking_is_told_without_loading_it(monkeypatch):
    import tomllib

    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, needs in packages.NEEDS.values():
        if extra:
            names = {line.split("[")[0].split("=")[0].split(">")[0] for line in offered[extra]}
            assert set(needs.values()) <= names
    assert packages.way_out("colour") == ""
    monkeypatch.setattr(packages, "NEEDS", {"onnx": ("onnx", {"no_such_module": "no-such-package"})})
    assert packages.lacking("onnx") == ("no-such-package",)
    assert packages.way_out("onnx") == "pip install no-such-package"
    states = {each["name"]: each["state"] for each in library()}
    assert all("no-such-package" in state for name, state in states.items() if name.startswith("onnx"))
    assert states["colour"] == "ready"


def test_words_from_outside_are_shown_and_not_obeyed():
    card = {"uid": 'a"><script>', "hash": "00", "caption": "<b>&"}
    html = strip("demo", "space", card, [card])
    assert "<script>" not in html
    assert "<b>" not in html
    assert "uid=a%22%3E%3Cscript%3E" in html
    assert html.count("<a ") == 1
    assert "<a " not in strip("demo", "", card, [card])
    chart = kept_chart({"<i>": 0.4, "mirrored": 0.95})
    assert "&lt;i&gt;" in chart
    assert "95 %" in chart


def test_what_has_no_space_is_whole_and_shows_what_is_near(world: Runtime):
    dataset = Dataset.open(world.workspace, "pictures")
    shutil.rmtree(dataset.root / "spaces")
    embed(dataset, [load("colour")])
    way = ways(world, "pictures")["colour"]
    assert (way.whole, way.space) == (True, "")
    near = way.near(world, "pictures", way.present.uids[5])
    assert near is not None
    assert near.among == 40


@pytest.mark.parametrize("steps", [None, ["centre", "power", "pca:64", "whiten", "l2"]])
def test_what_the_page_asks_to_put_together_is_put_together(world: Runtime, steps, monkeypatch):
    monkeypatch.setattr(world.jobs, "start_worker", lambda job: 0)
    job_id = put_together(world, "pictures", {"colour": 0.75, "layout": 0.25}, steps)
    args = json.loads(json.dumps(world.jobs.get(job_id).args))
    report = process(world.workspace, "pictures", args, lambda _: None, lambda: False)
    assert not report["failed"]
    titles = [info.title for info in world.space_keys("pictures")]
    (joined,) = [title for title in titles if title.startswith("Colours + Where things are")]
    assert ("large numbers damped" in joined) == bool(steps)
    assert set(ways(world, "pictures")) == {"colour", "layout"}
