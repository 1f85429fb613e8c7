"""What a job of the kind "process" does: look at the source again, compute what is missing, lay out the spaces."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from explorer.collection import own
from explorer.collection.costs import MAP, record_speed
from explorer.collection.dataset import Dataset
from explorer.collection.embedding import EmbedReport, embed
from explorer.collection.progress import Progress, ProgressCallback
from explorer.engine_ray import embed_with_ray
from explorer.errors import BadInput, Busy, Cancelled, ExplorerError, NotFound
from explorer.extractors.base import Extractor, FeatureSpec
from explorer.extractors.registry import load
from explorer.space import Space, SpaceRecipe, build_space, list_spaces
from explorer.space.build import unsettled
from explorer.space.space import read_manifest, remove_space, spaces_dir
from explorer.workspace import Workspace

DEFAULT_EXTRACTORS = ("lite0",)
T = TypeVar("T")


def process(
    workspace: Workspace,
    dataset_id: str,
    args: dict[str, Any],
    progress: ProgressCallback,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Bring a dataset up to date; what is there already is not computed again.

    `args`, all optional: "extractors": names, also of own features (see `own`); "exact": single precision, also where
    the machine has a faster one (what was computed so stays so without it); "engine": "ray" for several machines
    (see `engine_ray`); "spaces": further spaces, each
    [[feature key or extractor name, weight], …] or {"features": those, "steps": names of steps}; "only": uids, to
    look at these pictures alone; "build": false for features without spaces; "refit": whether transforms and maps are
    made anew. Spaces that exist and rest on these features are brought up to date with them. Own features whose table
    or file has changed take the place of the earlier ones, also in the spaces.

    What cannot be computed stops nothing else: it is named in "words" and, by name, in "failed". Returns {"name",
    "words", "scan", "embed", "spaces", "failed", "unsettled", "seconds"}, all JSON; "unsettled" names spaces for
    `settling`. Raises the error of a run in which nothing succeeded, and Cancelled and Busy (what was finished is
    kept).
    """
    began = time.monotonic()
    dataset = Dataset.open(workspace, dataset_id)
    progress(Progress("Looking for pictures", 0, 0))
    scan = dataset.rescan(progress, cancelled)
    run = _Run(workspace, dataset, progress, cancelled, args.get("engine") or "local")
    names = list(dict.fromkeys(args.get("extractors") or DEFAULT_EXTRACTORS))
    embedded = run.compute(names, args.get("only"), bool(args.get("exact")))
    spaces: list[dict[str, Any]] = []
    if args.get("build", True) and len(dataset.present()):
        spaces = run.build(args.get("spaces") or [], bool(args.get("refit")))
    if run.failed and not run.keys:
        raise next(iter(run.failed.values()))
    seconds = time.monotonic() - began
    counts = dataset.items["status"].value_counts()
    words = [f"{int(counts.get('ok', 0)):,} pictures, {embedded.embedded:,} of them looked at now"]
    words += [f"{scan.removed:,} removed"] if scan.removed else []
    words += [f"{int(counts['problem']):,} cannot be read (see Problems)"] if counts.get("problem") else []
    words += run.said
    failed = [f"Not done: {name}. {error}" for name, error in run.failed.items()]
    return {
        "name": dataset.name,
        "words": " ".join([f"{dataset.name}: {'; '.join(words)}. {seconds:,.0f} s.", *failed]),
        "scan": asdict(scan),
        "embed": asdict(embedded),
        "spaces": spaces,
        "failed": {name: str(error) for name, error in run.failed.items()},
        "unsettled": [each["key"] for each in spaces if unsettled(dataset, each["key"])],
        "seconds": round(seconds, 2),
    }


class _Run:
    """What is computed and built for one job, and what went wrong on the way."""

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset,
        progress: ProgressCallback,
        cancelled: Callable[[], bool],
        engine: str = "local",
    ) -> None:
        self.workspace, self.dataset = workspace, dataset
        self.progress, self.cancelled, self.engine = progress, cancelled, engine
        self.keys: dict[str, str] = {}
        """The feature of each name that was computed."""
        self.failed: dict[str, ExplorerError] = {}
        self.said: list[str] = []
        self._earlier: dict[str, str] = {}
        """Keys of own features that were computed from a table or file of before, and the key of today."""

    def compute(self, names: list[str], only: list[str] | None, exact: bool = False) -> EmbedReport:
        """The features, each in its turn named in `failed` where it cannot be."""
        extractors: dict[str, Extractor] = {}
        for name in names:
            if self.cancelled():
                raise Cancelled("The work was stopped.")
            self.progress(Progress("Loading the networks", len(extractors), len(names)))
            if not own.is_own(name):
                extractor = self._tried(name, partial(self._loaded, name, exact), Exception)
                extractors |= {name: extractor} if extractor is not None else {}
        embedded = self._embed(extractors, only)
        for name in filter(own.is_own, names):
            if self.cancelled():
                raise Cancelled("The work was stopped; what was computed is kept.")
            self.progress(Progress("Reading what is said of the pictures", 0, 0))
            self._tried(name, partial(self._own, name), Exception)
        return embedded

    def _loaded(self, name: str, exact: bool) -> Extractor:
        """In the precision that is asked for, or the one that the collection was looked at with before."""
        extractor = load(name, self.workspace.models, exact)
        before = [spec for spec in self.dataset.feature_specs() if spec.extractor == extractor.spec.extractor]
        if exact or not before or extractor.spec in before:
            return extractor
        other = load(name, self.workspace.models, exact=True)
        return other if other.spec in before else extractor

    def _embed(self, extractors: dict[str, Extractor], only: list[str] | None) -> EmbedReport:
        """All at once, so that each picture is read once; where one breaks down, each by itself."""
        try:
            if self.engine == "ray":
                models = self.workspace.models
                report = embed_with_ray(self.dataset, extractors, models, self.progress, self.cancelled, only)
            else:
                report = embed(self.dataset, list(extractors.values()), self.progress, self.cancelled, only=only)
            self.keys |= {name: extractor.spec.key for name, extractor in extractors.items()}
            for name in extractors if len(extractors) == 1 and self.engine == "local" else ():
                record_speed(self.workspace, name, report.embedded, report.seconds)
            return report
        except (Cancelled, Busy):
            raise
        except Exception as error:
            if len(extractors) < 2:
                if not extractors:
                    raise
                self._failed(next(iter(extractors)), error)
                return EmbedReport(0, 0, 0, 0.0)
        reports = [self._embed({name: extractor}, only) for name, extractor in extractors.items()]
        each = [(one.embedded, one.skipped, one.problems) for one in reports]
        embedded, skipped, problems = (max(column) for column in zip(*each, strict=True))
        return EmbedReport(embedded, skipped, problems, sum(one.seconds for one in reports))

    def _own(self, name: str) -> None:
        spec = own.compute(self.dataset, name)
        present = self.dataset.present()
        has = len(present) - len(self.dataset.features(spec).missing(own.row_names(spec, present)))
        if has < len(present):
            self.said.append(f"{own.title_of(name)}: {has:,} of {len(present):,} pictures have a row")
        self.keys[name] = spec.key
        self._earlier |= {old.key: spec.key for old in own.superseded(self.dataset, spec)}

    def build(self, further: list[Any], refit: bool) -> list[dict[str, Any]]:
        """The spaces: one of each feature, those that are asked for, and those that rest on what was computed."""
        recipes = {SpaceRecipe(((key, 1.0),)): name for name, key in self.keys.items()}
        for asked in further:
            name = f"the space {asked}"
            recipe = self._tried(name, partial(self._recipe, asked))
            if recipe is not None:
                recipes.setdefault(recipe, name)
        outdated = []
        for info in list_spaces(self.dataset):
            manifest = read_manifest(spaces_dir(self.dataset) / info.key)
            before = SpaceRecipe.from_json((manifest or {})["recipe"])
            recipe = before.with_features(self._earlier)
            if any(key in self.keys.values() for key, _ in recipe.features):
                recipes.setdefault(recipe, info.title)
            outdated += [info.key] if recipe != before else []
        # the parts of a joined space before the whole, which then reads theirs
        spaces = []
        for recipe, name in sorted(recipes.items(), key=lambda pair: len(pair[0].features)):
            space = self._tried(name, partial(self._built, recipe, refit))
            spaces += [{"key": space.key, "generation": space.generation}] if space else []
        if len(spaces) == len(recipes):
            self._forget_earlier(outdated)
        return spaces

    def _forget_earlier(self, spaces: list[str]) -> None:
        """Own features of a table or file that is no more, and the spaces that rested on them."""
        for key in spaces:
            remove_space(self.dataset, key)
        with self.dataset.writing():
            for key in self._earlier:
                shutil.rmtree(self.dataset.features(key).folder, ignore_errors=True)

    def _built(self, recipe: SpaceRecipe, refit: bool) -> Space:
        new = read_manifest(spaces_dir(self.dataset) / recipe.key) is None
        began = time.monotonic()
        space = build_space(self.dataset, recipe, self.progress, self.cancelled, refit=refit)
        if new:
            record_speed(self.workspace, MAP, len(space), time.monotonic() - began)
        return space

    def _recipe(self, asked: Any) -> SpaceRecipe:
        """Raises BadInput, NotFound."""
        features, steps = (asked["features"], asked.get("steps")) if isinstance(asked, dict) else (asked, None)
        try:
            pairs = tuple((self._key(str(part)), float(weight)) for part, weight in features)
        except (TypeError, ValueError) as error:
            raise BadInput(f"A joined space is a list of [way of looking, weight], not {features}.") from error
        return SpaceRecipe(pairs, tuple(steps)) if steps else SpaceRecipe(pairs)

    def _key(self, part: str) -> str:
        """The feature key of an extractor's name, or a key itself."""
        if part in self.failed:
            raise NotFound(f"'{part}' could not be computed.")
        if part in self.keys:
            return self.keys[part]
        specs: list[FeatureSpec] = self.dataset.feature_specs()
        found = [spec.key for spec in specs if part in (spec.key, spec.extractor)]
        if not found:
            raise NotFound(f"'{part}' has not been computed for {self.dataset.name}; compute it first.")
        return self._earlier.get(found[-1], found[-1])

    def _tried(self, name: str, action: Callable[[], T], caught: type[Exception] = ExplorerError) -> T | None:
        """What the action gives, or None with its error noted. Networks and files from elsewhere may raise anything;
        of our own work only what is meant for the screen is noted."""
        try:
            return action()
        except (Cancelled, Busy):
            raise
        except caught as error:
            self._failed(name, error)
            return None

    def _failed(self, name: str, error: Exception) -> None:
        plain = error if isinstance(error, ExplorerError) else ExplorerError(f"{type(error).__name__}: {error}")
        plain.__cause__ = plain.__cause__ or (error if plain is not error else None)
        self.failed[name] = plain
