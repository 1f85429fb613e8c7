"""What the routes and the pages say about a picture, a selection or a map, as plain data."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.learning.questions import Question
from explorer.space import Space
from explorer.web import selections
from explorer.web.colours import NO_VALUE, REST, Colouring
from explorer.web.filters import Filter
from explorer.web.shelf import shelf

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

NEIGHBOURS_SHOWN = 12


def card(item: Any, **more: Any) -> dict[str, Any]:
    """What a gallery needs of one picture. `item` is a row of the items table, as a dict or a named tuple."""
    row = item if isinstance(item, dict) else item._asdict()
    return {"uid": row["uid"], "hash": row["content_hash"], "caption": row["caption"], **more}


def cards(items: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["uid", "content_hash", "caption"]
    return [card(row) for row in items[columns].to_dict("records")]


def row_cards(dataset: Dataset, space: Space, rows: Any) -> list[dict[str, Any]]:
    """Gallery cards of rows of a space, in the order given; pictures that are gone are left out."""
    found = space.items(dataset).iloc[np.asarray(rows, np.int64)]
    return cards(found[(found["status"] == "ok").to_numpy()])


def item_details(dataset: Dataset, space: Space | None, uid: str, whole: bool = True) -> dict[str, Any]:
    """One picture with its columns (if `whole`) and the pictures nearest to it (in a space). Raises NotFound."""
    item = dataset.item(uid)
    columns = [[name, _shown(item.get(f"meta:{name}"))] for name in dataset.columns()] if whole else []
    columns = [[name, value] for name, value in columns if value]
    columns += [["file", item["path"]]] if whole else []
    columns.append(["size", f"{item['width']} × {item['height']}"])
    neighbours: list[dict[str, Any]] = []
    if space is not None and uid in space.rows:
        rows, scores = space.search(space.rows[uid], NEIGHBOURS_SHOWN + 1)
        near = {space.uids[int(row)]: float(score) for row, score in zip(rows, scores, strict=True)}
        neighbours = [{**found, "score": round(near[found["uid"]], 3)} for found in row_cards(dataset, space, rows)]
        neighbours = [found for found in neighbours if found["uid"] != uid][:NEIGHBOURS_SHOWN]
    sizes = {name: int(item[name]) for name in ("width", "height")}
    return {**card(item), **sizes, "problem": item["problem"], "columns": columns, "neighbours": neighbours}


def _shown(value: Any) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def space_items(dataset: Dataset, space: Space) -> pd.DataFrame:
    """The items in the space's row order; a picture the dataset does not know (any more) has status "gone"."""
    return space.items(dataset)


def selected_items(rt: "Runtime", dataset: Dataset, query: dict[str, str]) -> pd.DataFrame:
    """The items that `sel` (a kept selection) or `f` (a filter, in the map of `space`) or neither (all) name."""
    if query.get("sel"):
        uids, _ = selections.load(rt.catalog, dataset.id, query["sel"])
        return selections.items_of(dataset, uids)
    wanted = Filter.parse(query.get("f"))
    if not wanted:
        return dataset.present()
    first = next((info.key for info in rt.space_keys(dataset.id)), "")
    space = rt.space(dataset.id, query.get("space") or first)
    return space.items(dataset)[shelf(rt, dataset, space).shown(wanted)].reset_index(drop=True)


def map_page(dataset: Dataset, space: Space, chosen: Colouring) -> str:
    """The map as one HTML file that needs no server and no network: Plotly with its script inside."""
    import plotly.graph_objects as go

    captions = space.items(dataset)["caption"]
    figure = go.Figure()
    if chosen.kind == "category":
        groups = [(entry["label"], entry["colour"], chosen.codes == k) for k, entry in enumerate(chosen.legend)]
        groups.append(("no value", REST, chosen.codes == NO_VALUE))
    else:
        groups = [("pictures", REST, chosen.codes >= 0)]
    for label, colour, mask in groups:
        if not mask.any():
            continue
        marker: dict[str, Any] = {"size": 5, "color": colour}
        if chosen.kind == "number":
            marker |= {"color": chosen.codes[mask], "colorscale": "Viridis"}
        figure.add_trace(
            go.Scattergl(
                x=space.xy[mask, 0], y=space.xy[mask, 1], mode="markers", name=escaped(label), marker=marker,
                text=[escaped(text) for text in captions[mask]], hoverinfo="text",
            )
        )  # fmt: skip
    figure.update_layout(
        title=escaped(f"{dataset.name}: {len(space.uids):,} pictures"), template="plotly_white",
        xaxis={"visible": False}, yaxis={"visible": False, "scaleanchor": "x"}, dragmode="pan",
    )  # fmt: skip
    return str(figure.to_html(include_plotlyjs=True, full_html=True, config={"scrollZoom": True}))


def escaped(text: str) -> str:
    """Plotly reads a little HTML in texts; names and captions from outside are shown as they are instead."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def question_of(rt: "Runtime", dataset_id: str, question_id: str) -> Question:
    """A question of this dataset. Raises NotFound for another's, so that a link cannot reach across."""
    question = rt.questions.get(question_id)
    if question.dataset_id != dataset_id:
        raise NotFound("That question belongs to another collection.")
    return question


def number(text: str | None, default: int, low: int, high: int) -> int:
    """A whole number of a link, kept within its bounds. Raises BadInput when it is none."""
    if text is None or text == "":
        return default
    try:
        return min(max(int(text), low), high)
    except ValueError as error:
        raise BadInput(f"'{text[:40]}' is not a whole number.") from error


def plain(text: str) -> str:
    """Text from outside for a place that reads Markdown: its signs are shown, not obeyed."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+-.!|<>~$:" else sign for sign in text).replace("\n", " ")
