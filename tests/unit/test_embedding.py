"""Embed once: nothing twice, nothing lost, several looks at one computation together."""

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.collection import embedding
from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.collection.hashing import content_hash
from explorer.collection.images import decode
from explorer.collection.progress import Progress
from explorer.errors import Busy, Cancelled
from explorer.extractors.base import Extractor, FeatureSpec, FileReader, Layered
from explorer.workspace import Workspace
from tests.unit.block_means import BlockMeans, made, picture, put


@pytest.fixture
def place(tmp_path: Path) -> Path:
    put(tmp_path / "pictures", range(60))
    return tmp_path / "pictures"


def test_every_picture_once_and_never_again(tmp_path: Path, place: Path) -> None:
    dataset, extractor = made(tmp_path, place), BlockMeans()
    report = embed(dataset, [extractor])
    assert (report.embedded, report.skipped, report.problems) == (60, 0, 0)
    assert extractor.prepared == sum(extractor.batches) == 60
    items = dataset.present()
    for row in items.itertuples():
        expected = extractor.compute(extractor.prepare(decode((place / row.path).read_bytes()).rgb)[None])
        np.testing.assert_allclose(dataset.features(extractor.spec).get([row.content_hash]), expected, atol=1e-3)
        thumb = Image.open(io.BytesIO(dataset.pictures.thumb(row.content_hash) or b""))
        assert thumb.size == (row.width, row.height) == (48, 48)
    again = BlockMeans()
    report = embed(dataset, [again])
    assert (report.embedded, report.skipped, again.prepared) == (0, 60, 0)
    put(place, range(1000, 1010), "new")
    for number in range(5):
        (place / f"{number:05d}.jpg").unlink()
    dataset.rescan()
    report = embed(dataset, [again])
    assert (report.embedded, report.skipped, again.prepared) == (10, 55, 10)
    assert dataset.items["status"].value_counts().to_dict() == {"ok": 65, "gone": 5}
    assert len(dataset.features(extractor.spec)) == 70
    assert dataset.features(extractor.spec).verify() == []


def test_duplicates_are_computed_once(tmp_path: Path, place: Path) -> None:
    for number in range(20):
        (place / f"copy{number}.jpg").write_bytes(picture(3))
    dataset, extractor = made(tmp_path, place), BlockMeans()
    assert embed(dataset, [extractor]).embedded == 60
    assert extractor.prepared == 60
    (place / "00003.jpg").unlink()  # one holder of the content vanishes, the others still have it
    other = BlockMeans(3)
    assert embed(dataset, [other]).problems == 0
    assert dataset.features(other.spec).missing([content_hash(picture(3))]) == []


def test_one_decoding_feeds_all_extractors(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def counting(data: bytes, side: int) -> object:
        decoded.append(side)
        return decode(data, side)

    monkeypatch.setattr(embedding, "decode", counting)
    dataset = made(tmp_path, place)
    extractors = [BlockMeans(2), BlockMeans(3), BlockMeans(4, min_side=224)]
    assert embed(dataset, extractors).embedded == 60
    assert decoded == [256] * 60
    put(place, range(100, 110))
    dataset.rescan()
    decoded.clear()
    late = BlockMeans(5, min_side=400)
    report = embed(dataset, [*extractors, late])
    assert (report.embedded, [each.prepared for each in extractors], late.prepared) == (70, [70, 70, 70], 70)
    assert sorted(decoded) == [256] * 10 + [400] * 70
    assert len(dataset.feature_specs()) == 4


def test_a_feature_does_not_depend_on_what_ran_along_with_it(tmp_path: Path) -> None:
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(6):
        (place / f"{number}.jpg").write_bytes(picture(number, side=1500))
    alone, together = made(tmp_path, place, "alone"), made(tmp_path, place, "together")
    embed(alone, [BlockMeans()])
    embed(together, [BlockMeans(7, min_side=900), BlockMeans()])
    names = alone.present()["content_hash"].tolist()
    spec = BlockMeans().spec
    assert np.array_equal(alone.features(spec).get(names), together.features(spec).get(names))


class Channel(BlockMeans):
    """One colour of the block means; the three are looks at the same computation."""

    computed: list[int]

    def __init__(self, channel: str, computed: list[int], blocks: int = 4) -> None:
        super().__init__(blocks)
        self.network, self.computed = f"blocks{blocks}", computed
        dim = blocks * blocks
        self.spec = FeatureSpec(f"blocks{blocks}@{channel}", "none", channel, "area", "numpy", "f32", dim)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        return self.compute_layers(batch)[self.spec.layer]

    def compute_layers(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.computed.append(len(batch))
        rows = super().compute(batch)
        return {channel: rows[:, place::3] for place, channel in enumerate(("red", "green", "blue"))}


def test_several_layers_are_prepared_and_computed_once(tmp_path: Path, place: Path) -> None:
    computed: list[int] = []
    red, green, other = Channel("red", computed), Channel("green", computed), Channel("red", computed, 3)
    assert isinstance(red, Layered)
    alone, together = made(tmp_path, place, "alone"), made(tmp_path, place, "together")
    for each in (red, green, other):
        embed(alone, [each])
    assert sum(computed) == 180
    computed.clear()
    layers = [Channel("red", computed), BlockMeans(), Channel("green", computed), Channel("red", computed, 3)]
    assert embed(together, layers).embedded == 60
    assert sum(computed) == 120, "the two of one network once, the other network apart"
    assert [each.prepared for each in layers] == [60, 60, 0, 60]
    names = alone.present()["content_hash"].tolist()
    for each in (red, green, other):
        assert np.array_equal(alone.features(each.spec).get(names), together.features(each.spec).get(names))
    assert not np.array_equal(*(together.features(each.spec).get(names) for each in (red, green)))
    put(place, range(100, 110))
    together.rescan()
    embed(together, [Channel("red", computed)])
    computed.clear()
    report = embed(together, [Channel("red", computed), Channel("green", computed), Channel("blue", computed)])
    assert (report.embedded, sum(computed)) == (70, 70), "what one layer has already is not written twice"
    assert all(len(together.features(Channel(each, []).spec)) == 70 for each in ("red", "green", "blue"))


def test_some_pictures_first_and_the_rest_later(tmp_path: Path, place: Path) -> None:
    dataset, extractor = made(tmp_path, place), BlockMeans()
    some = {f"{number:05d}.jpg" for number in range(5, 60, 11)} | {"not-there.jpg"}
    report = embed(dataset, [extractor], only=some)
    assert (report.embedded, report.skipped, extractor.prepared) == (5, 0, 5)
    items = dataset.present().set_index("uid")
    store = dataset.features(extractor.spec)
    assert set(store.missing(items["content_hash"])) == set(
        items.drop(index=sorted(some - {"not-there.jpg"}))["content_hash"]
    )
    assert embed(dataset, [extractor], only=set()).embedded == 0
    report = embed(dataset, [extractor])
    assert (report.embedded, report.skipped) == (55, 5)
    assert dataset.features(extractor.spec).missing(items["content_hash"]) == []


def test_an_extractor_that_reads_files_gets_their_bytes(tmp_path: Path, place: Path) -> None:
    class Length(BlockMeans):
        def prepare_file(self, data: bytes, rgb: np.ndarray) -> np.ndarray:
            assert rgb.shape == (48, 48, 3)
            return np.full((4, 4, 3), len(data) % 256, np.uint8)

    dataset, extractor = made(tmp_path, place), Length()
    assert isinstance(extractor, FileReader)
    embed(dataset, [extractor])
    assert extractor.prepared == 0
    for item in dataset.present().itertuples():
        row = dataset.features(extractor.spec).get([item.content_hash])[0]
        np.testing.assert_allclose(row, ((place / item.path).stat().st_size % 256) / 255, atol=1e-3)


def test_a_slow_extractor_is_not_waited_for_when_the_time_to_write_comes(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches stay full: a write every few seconds would otherwise send half-empty ones and let cores idle."""
    monkeypatch.setattr(embedding, "FLUSH_SECONDS", 0.02)
    dataset, extractor = made(tmp_path, place), BlockMeans(pause=0.01)
    embed(dataset, [extractor])
    assert sorted(extractor.batches, reverse=True) == [8] * 7 + [4]
    assert len(dataset.features(extractor.spec)) == 60


def test_what_cannot_be_read_is_written_down_and_not_tried_again(tmp_path: Path, place: Path) -> None:
    (place / "text.jpg").write_bytes(b"Remember the milk.\n" * 30)
    (place / "cut.jpg").write_bytes(picture(5)[:700])
    (place / "empty.jpg").write_bytes(b"")
    dataset, extractor = made(tmp_path, place), BlockMeans()
    report = embed(dataset, [extractor])
    assert (report.embedded, report.problems) == (60, 3)
    problems = dataset.items.set_index("uid")["problem"]
    assert "it is text" in problems["text.jpg"]
    assert "the file ends after 700 bytes" in problems["cut.jpg"]
    assert "the file is empty" in problems["empty.jpg"]
    assert len(dataset.present()) == 60
    dataset.rescan()
    assert embed(dataset, [extractor]).problems == 0
    assert extractor.prepared == 60
    assert (dataset.items["status"] == "problem").sum() == 3
    (place / "text.jpg").write_bytes(picture(77))
    assert dataset.rescan().problems == 2
    assert embed(dataset, [extractor]).embedded == 1


def test_files_that_vanish_or_change_are_tried_again_after_the_next_scan(tmp_path: Path, place: Path) -> None:
    dataset, extractor = made(tmp_path, place), BlockMeans()
    (place / "00001.jpg").rename(tmp_path / "aside.jpg")
    (place / "00002.jpg").write_bytes(picture(200))
    report = embed(dataset, [extractor])
    assert (report.embedded, report.problems) == (58, 2)
    assert dataset.item("00001.jpg")["problem"] == "it is not there (any more)"
    assert "changed since the last scan" in dataset.item("00002.jpg")["problem"]
    assert dataset.pictures.problems() == {}
    assert dataset.features(extractor.spec).missing([content_hash(picture(200))])
    (tmp_path / "aside.jpg").rename(place / "00001.jpg")
    dataset.rescan()
    assert embed(dataset, [extractor]).embedded == 2
    assert len(dataset.present()) == 60


def test_an_extractor_that_gives_no_numbers_harms_one_picture(tmp_path: Path, place: Path) -> None:
    class Strange(BlockMeans):
        def compute(self, batch: np.ndarray) -> np.ndarray:
            rows = super().compute(batch)
            rows[rows[:, 0] == self.dark, 0] = np.nan
            return rows

        dark = float(BlockMeans().prepare(decode(picture(9)).rgb)[0, 0, 0]) / 255

    dataset = made(tmp_path, place)
    embed(dataset, [Strange()])
    assert "not finite" in dataset.item("00009.jpg")["problem"]
    assert len(dataset.features(Strange().spec)) == len(dataset.present())


def test_an_error_of_an_extractor_keeps_what_was_written(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(BlockMeans):
        def compute(self, batch: np.ndarray) -> np.ndarray:
            if len(self.batches) == 5:
                raise RuntimeError("the network broke")
            return super().compute(batch)

    monkeypatch.setattr(embedding, "PART_ROWS", embedding._AHEAD + 8)
    dataset = made(tmp_path, place)
    with pytest.raises(RuntimeError, match="the network broke"):
        embed(dataset, [Failing()])
    rows = len(dataset.features(BlockMeans().spec))
    assert 0 < rows < 60
    assert embed(dataset, [BlockMeans()]).embedded == 60 - rows


def test_cancelling_keeps_what_was_computed(tmp_path: Path, place: Path) -> None:
    dataset, extractor, calls = made(tmp_path, place), BlockMeans(), [0]

    def cancelled() -> bool:
        calls[0] += 1
        return calls[0] > 20

    with pytest.raises(Cancelled, match="21 of 60"):
        embed(dataset, [extractor], cancelled=cancelled)
    assert len(dataset.features(extractor.spec)) == dataset.pictures.count() == 21
    report = embed(dataset, [extractor])
    assert (report.embedded, report.skipped) == (39, 21)


def test_progress_has_a_rate_and_an_end(tmp_path: Path, place: Path) -> None:
    heard: list[Progress] = []
    embed(made(tmp_path, place), [BlockMeans(pause=0.04)], heard.append)
    assert (heard[0].done, heard[0].total) == (0, 60)
    assert heard[-1].done == 60
    assert [each.done for each in heard] == sorted(each.done for each in heard)
    later = [each for each in heard if each.per_second]
    assert later
    assert all(1 < (each.per_second or 0) < 500 for each in later)
    assert later[-1].seconds_left == 0


def test_decoding_runs_ahead_but_not_away(tmp_path: Path) -> None:
    put(tmp_path / "pictures", range(300))
    dataset, started, taken, most = made(tmp_path, tmp_path / "pictures"), [0], [0], [0]

    class Watching(BlockMeans):
        def prepare(self, rgb: np.ndarray) -> np.ndarray:
            started[0] += 1
            most[0] = max(most[0], started[0] - taken[0])
            return super().prepare(rgb)

        def compute(self, batch: np.ndarray) -> np.ndarray:
            rows = super().compute(batch)
            taken[0] += len(batch)
            return rows

    embed(dataset, [Watching(pause=0.002)])
    assert 8 < most[0] < 200


def test_one_run_at_a_time(tmp_path: Path, place: Path) -> None:
    dataset = made(tmp_path, place)
    working, go_on = threading.Event(), threading.Event()

    class Waiting(BlockMeans):
        def compute(self, batch: np.ndarray) -> np.ndarray:
            working.set()
            go_on.wait(60)
            return super().compute(batch)

    thread = threading.Thread(target=lambda: embed(dataset, [Waiting()]))
    thread.start()
    assert working.wait(60)
    other = Dataset.open(Workspace(tmp_path / "ws"), "photos")
    with pytest.raises(Busy, match="Photos is being worked on already"):
        embed(other, [BlockMeans(3)])
    go_on.set()
    thread.join()
    assert embed(other, [BlockMeans(3)]).embedded == 60


def test_the_real_network_embeds_drawings_as_it_would_one_by_one(tmp_path: Path) -> None:
    """lite0 through the whole pipeline gives the rows that it gives picture by picture."""
    from explorer.extractors.registry import load

    drawings = Path(__file__).resolve().parents[2] / "data" / "clipart"
    place = tmp_path / "pictures"
    for folder in ("animals", "buildings"):
        (place / folder).mkdir(parents=True)
        for path in sorted((drawings / folder).glob("*.jpg"))[:20]:
            (place / folder / path.name).write_bytes(path.read_bytes())
    dataset = made(tmp_path, place)
    assert dataset.columns() == ["folder"]
    network: Extractor = load("lite0")
    contents = dataset.present()["content_hash"].nunique()
    assert embed(dataset, [network]).embedded == contents
    items = dataset.present()
    got = dataset.features(network.spec).get(items["content_hash"].tolist())
    assert got.shape == (len(items), network.spec.dim)
    for number in (0, 7, 25):
        alone = network.compute(network.prepare(decode((place / items["path"][number]).read_bytes()).rgb)[None])[0]
        np.testing.assert_allclose(got[number], alone, rtol=2e-3, atol=2e-3 * float(np.abs(alone).max()))
    assert embed(dataset, [network]).embedded == 0
