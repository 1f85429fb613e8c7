"""The demo with a question that somebody answered, written as a copy without a server."""

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.learning.answers import AnswerEvent
from explorer.web.runtime import Runtime
from explorer.web.site import export_site
from explorer.workspace import Workspace

PERSON = "Ottilie Geheim"
FOLDERS = ("animals", "food", "tools")


@dataclass
class Copy:
    rt: Runtime
    folder: Path
    told: dict[str, Any]

    def data(self) -> dict[str, Any]:
        return read_data(self.folder)


def read_data(folder: Path) -> dict[str, Any]:
    text = (folder / "data" / "collection.js").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.removeprefix("window.EXPLORER_SITE=").rstrip().removesuffix(";"))
    return found


def make_copy(demo: Workspace, place: Path, **options: Any) -> Copy:
    """`place`/site holds the copy of a collection whose folders a person named as their answers."""
    shutil.copytree(demo.root, place / "workspace")
    rt = Runtime(Workspace(place / "workspace"))
    dataset = rt.dataset("demo")
    rt.catalog.register_dataset("demo", dataset.name)
    question = rt.questions.create("demo", "What is it?", [f"from {name}" for name in FOLDERS])
    items = dataset.present()
    events = []
    for each, name in zip(question.classes, FOLDERS, strict=True):
        for uid in items[items["meta:folder"] == name]["uid"].tolist()[:12]:
            events.append(AnswerEvent(uuid.uuid4().hex, question.id, uid, "yes", each.id, person_id=PERSON))
    rt.answers.record(events)
    told = export_site(rt, "demo", place / "site", **options)
    return Copy(rt, place / "site", told)
