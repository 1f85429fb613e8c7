"""What each way of looking ignores: the share of a drawing's ten nearest that stay when the drawing is changed.

Of the drawings in the repository, drawn by lot, the same ones for every extractor that needs no download, and for
every layer of lite0. Reading words takes long, so that fewer pictures are changed for those that read (see the detail).
`python -m benchmarks.invariance [NAME …]` writes the file that the extractors' cards show,
explorer/space/invariance.json: all of it, or what these extractors and their layers say anew.
"""

import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

PICTURES = 200
READ, READ_CHANGED = 100, 50
"""Pictures that neighbours are sought among, and that are changed, for extractors that read the words in them."""
LAYERS_OF = ("lite0",)


def run(families_of: Sequence[str] = ()) -> dict[str, Any]:
    """Every extractor (or those of some families) that can be loaded here; others are named with the reason."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from explorer.errors import ExplorerError
    from explorer.extractors.base import Extractor
    from explorer.extractors.registry import families, load
    from explorer.space.invariance import NEAREST, Kept, measure

    names = []
    for family in families().values():
        if not family.written and not family.card.needs_download and family.name in (families_of or [family.name]):
            names.append(family.name)
            names += [f"{family.name}@{layer}" for layer, _ in family.layers if family.name in LAYERS_OF]
    loaded: dict[str, Extractor] = {}
    skipped: dict[str, str] = {}
    with TemporaryDirectory() as models:
        for name in names:
            try:
                loaded[name] = load(name, Path(models))
            except ExplorerError as error:
                skipped[name] = str(error)
                print(f"skipped {name}: {error}", file=sys.stderr)
        found: dict[str, dict[str, Kept]] = {}
        pictures = _pictures(PICTURES)
        reading = {name for name, extractor in loaded.items() if extractor.card.aspect.startswith("text")}
        for some, shown, changed in (
            (loaded.keys() - reading, pictures, len(pictures)),
            (reading, pictures[:READ], READ_CHANGED),
        ):
            ordered = [name for name in loaded if name in some]
            measured = measure([loaded[name] for name in ordered], shown, changed=changed)
            found |= dict(zip(ordered, measured, strict=True))
    return {
        "figures": {
            f"kept.{name}.{change}": each.neighbours for name in loaded for change, each in found[name].items()
        },
        "detail": {
            "nearest": NEAREST,
            "chance": {"pictures": _chance(NEAREST, PICTURES), "reading": _chance(NEAREST, READ)},
            "pictures": {name: READ if name in reading else PICTURES for name in loaded},
            "changed": {name: READ_CHANGED if name in reading else PICTURES for name in loaded},
            "with_words_throughout": sorted(reading),
            "itself": {
                name: {change: round(each.itself, 3) for change, each in found[name].items()} for name in loaded
            },
            "skipped": skipped,
        },
    }


def markdown(result: dict[str, Any]) -> str:
    """A row for each extractor and layer: what stays after each change."""
    names, changes, values = grid(result["figures"])
    lines = [f"| | {' | '.join(changes)} |", "|---" * (len(changes) + 1) + "|"]
    for name, row in zip(names, values, strict=True):
        lines.append(f"| `{name}` | {' | '.join(f'{value:.2f}'.removeprefix('0') for value in row)} |")
    return "\n".join(lines)


def plot(result: dict[str, Any]) -> "go.Figure":
    """Extractors by changes, the darker the more stays."""
    import plotly.graph_objects as go

    names, changes, values = grid(result["figures"])
    chart = go.Figure(
        go.Heatmap(
            z=values,
            x=changes,
            y=names,
            zmin=0,
            zmax=1,
            colorscale="Teal",
            text=np.round(values, 2),
            texttemplate="%{text}",
            colorbar_title="stay",
        )
    )
    chart.update_layout(
        title="Share of a drawing's ten nearest that stay after a change",
        template="plotly_white",
        height=160 + 32 * len(names),
        width=900,
        margin={"l": 140},
    )
    chart.update_yaxes(autorange="reversed")
    return chart


def grid(figures: dict[str, float]) -> tuple[list[str], list[str], np.ndarray]:
    """Extractors, changes, and (extractors, changes) what stays."""
    from explorer.space.changes import CHANGES

    changes = list(CHANGES)
    names = list(dict.fromkeys(key.removeprefix("kept.").rpartition(".")[0] for key in figures))
    return names, changes, np.array([[figures[f"kept.{name}.{change}"] for change in changes] for name in names])


def shipped(result: dict[str, Any]) -> dict[str, Any]:
    """What is written for the cards: nothing that depends on the machine or the day."""
    names, changes, values = grid(result["figures"])
    detail = result["detail"]
    return {
        "about": "share of the ten nearest drawings that stay after a change; python -m benchmarks.invariance",
        "pictures": {name: detail["pictures"][name] for name in names},
        "changed": {name: detail["changed"][name] for name in names},
        "kept": {
            name: {change: round(float(value), 3) for change, value in zip(changes, row, strict=True)}
            for name, row in zip(names, values, strict=True)
        },
    }


def _chance(nearest: int, pictures: int) -> float:
    """The share that stays where the change has replaced the picture by any other."""
    return round(nearest / (pictures - 1), 3)


def _pictures(count: int) -> list[np.ndarray]:
    """(h, w, 3) uint8 each, at full size: they are small."""
    from explorer.collection.images import decode
    from explorer.demos import CLIPART

    with open(CLIPART / "clipart.csv", newline="", encoding="utf-8") as file:
        rows = sorted(row["image"] for row in csv.DictReader(file))
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [decode((CLIPART / rows[place]).read_bytes(), 100_000).rgb for place in chosen]


def main() -> None:
    from explorer.durable import write_json
    from explorer.space.invariance import SHIPPED

    chosen = sys.argv[1:]
    written = shipped(run(chosen))
    if chosen:
        before = json.loads(SHIPPED.read_text(encoding="utf-8"))
        for part in ("pictures", "changed", "kept"):
            written[part] = before[part] | written[part]
    write_json(SHIPPED, written)
    print(f"wrote {SHIPPED.name}: {', '.join(written['kept'])}")


if __name__ == "__main__":
    main()
