"""What one server process holds open: the catalogue, the datasets, the spaces and the live classifiers.

Streamlit's script threads and our HTTP routes share one `Runtime`. Datasets and spaces are reopened when the file that
names their generation has changed; whoever still holds an older one goes on reading it.
"""

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer.catalog import Catalog
from explorer.collection.dataset import Dataset
from explorer.extractors.base import Extractor, FeatureSpec
from explorer.extractors.registry import load_like
from explorer.jobs import Jobs
from explorer.learning.answers import AnswerStore
from explorer.learning.claims import ClaimStore
from explorer.learning.live import LiveQuestions
from explorer.learning.questions import QuestionStore
from explorer.learning.together import Bulletin
from explorer.sharing.access import LaunchToken
from explorer.sharing.accounts import AccountStore
from explorer.sharing.links import LinkStore
from explorer.space import ClusterCard, Space, list_spaces, open_space
from explorer.storage import Follower
from explorer.web.proxies import Proxies
from explorer.web.visitors import Visitors
from explorer.workspace import Workspace


class Runtime:
    """Everything a request may need. Safe to use from several threads."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.catalog = Catalog.open(workspace.catalog_url)
        self.questions = QuestionStore(self.catalog)
        self.answers = AnswerStore(self.catalog)
        self.jobs = Jobs(self.catalog)
        self.token = LaunchToken.from_environment()
        self.links = LinkStore(self.catalog)
        self.accounts = AccountStore(self.catalog)
        self.visitors = Visitors(self.token, self.links, self.accounts, Proxies.from_environment())
        self.live = LiveQuestions(self.catalog, self.space, self.answers)
        self.claims = ClaimStore(self.catalog)
        self.bulletin = Bulletin(self.catalog)
        self.follower: Follower | None = None
        """Fetches the collections, on a replica."""
        self.shelves: OrderedDict[tuple[str, str], Any] = OrderedDict()
        """What the pictures of a space can be filtered by, by dataset and space (see `shelf.shelf`)."""
        self.shelves_lock = threading.Lock()
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], tuple[Any, Any]] = {}
        self._extractors: dict[str, Extractor] = {}

    def dataset(self, dataset_id: str) -> Dataset:
        """The dataset in its newest generation. Raises NotFound."""
        file = self.workspace.dataset_dir(dataset_id) / "dataset.json"
        return self.newest(("dataset", dataset_id), [file], lambda: Dataset.open(self.workspace, dataset_id))

    def space(self, dataset_id: str, key: str) -> Space:
        """The space in its newest generation. Raises NotFound."""
        dataset = self.dataset(dataset_id)
        manifest = dataset.root / "spaces" / Path(key).name / "manifest.json"
        return self.newest(("space", dataset_id, key), [manifest], lambda: open_space(dataset, key))

    def space_keys(self, dataset_id: str) -> list[Any]:
        """What `list_spaces` says, read again when a space or the items have changed."""
        dataset = self.dataset(dataset_id)
        files = [dataset.root / "dataset.json", *sorted(dataset.root.glob("spaces/*/manifest.json"))]
        return self.newest(("spaces", dataset_id), files, lambda: list_spaces(dataset))

    def cluster_cards(self, dataset_id: str, key: str, method: str) -> list[ClusterCard]:
        """`Space.cluster_cards`, kept until the space or the items change: the map and the groups ask at every run."""
        dataset = self.dataset(dataset_id)
        manifest = dataset.root / "spaces" / Path(key).name / "manifest.json"

        def made() -> list[ClusterCard]:
            return self.space(dataset_id, key).cluster_cards(method, dataset.items)

        cards: list[ClusterCard] = self.newest(
            ("cards", dataset_id, key, method), [dataset.root / "dataset.json", manifest], made
        )
        return cards

    def extractor(self, spec: FeatureSpec) -> Extractor:
        """The extractor that made a feature, kept: the second uploaded picture does not wait for the network.

        Raises Missing where this machine cannot make the same feature.
        """
        with self._lock:
            if spec.key not in self._extractors:
                self._extractors[spec.key] = load_like(spec, self.workspace.models)
            return self._extractors[spec.key]

    def newest(self, key: tuple[str, ...], files: list[Path], opened: Callable[[], Any]) -> Any:
        """What `opened` made, kept under `key` until one of the files is replaced, appears or goes."""
        stamp = tuple(_stamp(file) for file in files)
        with self._lock:
            held = self._held.get(key)
        if held is not None and held[0] == stamp:
            return held[1]
        value = opened()
        with self._lock:
            self._held[key] = (stamp, value)
        return value


def _stamp(file: Path) -> tuple[int, int] | None:
    """Inode and time of a file that is replaced as a whole whenever it changes; None when it is not there."""
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


@functools.cache
def runtime() -> Runtime:
    """The one Runtime of this process, on the workspace that the environment names."""
    return Runtime(Workspace.default())
