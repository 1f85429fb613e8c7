"""A small Streamlit app around the components alone: real pages and real routes, with answers kept in memory.

`?view=map|gallery|labeller|twins` chooses what is shown; `n`, `by` and others vary it. Started by conftest.py.
"""

import json
import time

import numpy as np
import streamlit as st
from components_world import CLASSES, COLOURS, KINDS, MEMORY, ROUTES, N, card, world
from streamlit.runtime.scriptrunner import get_script_run_ctx


def legend(n: int) -> list[dict]:
    counts = np.bincount(world(n)[1], minlength=len(KINDS))
    return [{"label": k, "count": int(c), "colour": f} for k, c, f in zip(KINDS, counts, COLOURS, strict=True)]


def map_page(n: int) -> None:
    from explorer.web.components.map import map_view, points_in_polygon

    state, query = st.session_state, st.query_params
    by = query.get("by", "column:kind")
    kind = {"column:year": "number", "none": "none"}.get(by, "category")
    time.sleep(float(query.get("slow", 0)))
    scale = {"min": 1900, "max": 2020} if kind == "number" else legend(n)
    xy, kinds = world(n)

    def lassoed(event: dict) -> None:
        began = time.perf_counter()
        mask = points_in_polygon(xy, event["polygon"]) & ~np.isin(kinds, event["hidden_codes"])
        if query.get("f"):
            mask[::2] = False
        state.took = time.perf_counter() - began
        state.rows = np.flatnonzero(mask)
        state.event = event

    def cleared() -> None:
        state.pop("rows", None)
        state.event = "cleared"

    rows = state.get("rows")
    names = [{"x": float(x), "y": float(y), "text": f"{k} heap"} for k, (x, y) in zip(KINDS * 3, xy[:12], strict=False)]
    map_view(
        dataset="demo", space=f"s{n}", generation=1, n=n, filter=query.get("f", ""),
        colour={"by": by, "v": "1", "kind": kind, "title": by.partition(":")[2], "legend": scale},
        selection=rows, hidden=query.get_all("hide"), labels=names if "names" in query else [], key="map",
        height=int(query.get("height", 560)), on_lasso=lassoed, on_clear=cleared,
        on_similar=lambda uid: st.write(f"similar to {uid}"),
        on_hidden=lambda labels: state.update(hid=labels),
    )  # fmt: skip
    st.text(f"rows: {'none' if rows is None else len(rows)}")
    if state.get("hid") is not None:
        st.text(f"hidden: {state.hid}")
    if isinstance(state.get("event"), dict):
        st.text(
            f"count: {state.event['count']} bytes: {len(json.dumps(state.event))} server: {state.took * 1e3:.0f} ms"
        )
    st.button("Clear from the page", on_click=cleared)


def twins_page(n: int) -> None:
    """Two maps; the right one lacks the last third of the pictures."""
    from explorer.web.components.map import points_in_polygon
    from explorer.web.components.twin_maps import Side, twin_maps

    state = st.session_state
    rows = state.get("rows", [])

    def lassoed(side: int, event: dict) -> None:
        inside = points_in_polygon(world(m[side])[0], event["polygon"])
        state.rows = np.flatnonzero(inside & ~np.isin(world(m[side])[1], event["hidden_codes"])).tolist()
        state.side = side

    m = (n, 2 * n // 3)
    colours = [
        {"by": "column:kind", "v": "1", "kind": "category", "title": "kind", "legend": legend(each)} for each in m
    ]
    sides = [
        Side(f"s{each}", 1, each, f"the {each}", colour, [row for row in rows if row < each])
        for each, colour in zip(m, colours, strict=True)
    ]
    twin_maps(
        *sides, dataset="demo", same=False, key="twins", on_lasso=lassoed, on_clear=lambda: state.pop("rows", None),
        on_similar=lambda uid: st.write(f"similar to {uid}"),
    )  # fmt: skip
    st.text(f"rows: {len(rows)} of side {state.get('side')}")


def gallery_page(n: int) -> None:
    from explorer.web.components.gallery import gallery

    items = [card(row) for row in range(n)]
    for row in range(0, n, 5):
        items[row] |= {"badge": f"{90 - row % 40} %", "note": "a note about this one"}
    gallery(
        items, dataset="demo", space=f"s{N}", key="gallery", selectable="select" in st.query_params,
        controls="strip" not in st.query_params, size=84 if "strip" in st.query_params else 150,
        on_select=lambda uids: st.session_state.update(chosen=uids), empty="Nothing is odd here.",
        on_similar=lambda uid: st.text(f"similar to {uid}"),
    )  # fmt: skip
    st.text(f"chosen: {st.session_state.get('chosen')}")


def labeller_page() -> None:
    from explorer.web.components.labeller import labeller
    from explorer.web.components.map import map_view

    policies = [
        {"id": "useful", "title": "Most useful", "why": "Where an answer teaches the most."},
        {"id": "random", "title": "At random", "why": "For an honest measure."},
    ]
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    current = [e["class_id"] for e in MEMORY.current().values() if e["value"] == "yes"]
    more = (
        [{"id": "c3", "name": "none of these", "colour": "#888888", "none": True}] if "none" in st.query_params else []
    )
    about = {"note": "Round ones.", "examples": [card(5)]}
    classes = [{**c, "count": current.count(c["id"])} for c in [CLASSES[0] | about, *CLASSES[1:], *more]]
    question = {"id": "q1", "name": "Which shape?", "kind": st.query_params.get("kind", "classes"), "classes": classes}
    labeller(
        dataset="demo", space=f"s{N}", question=question, seq=len(MEMORY.events), policy="useful", policies=policies,
        key="labeller", show_guess="guess" in st.query_params, on_similar=lambda uid: st.text(f"similar to {uid}"),
        on_example=lambda event: st.session_state.update(example=event),
    )  # fmt: skip
    if "example" in st.session_state:
        st.text(f"example: {st.session_state.example}")
    names = [{"label": c["name"], "count": 0, "colour": c["colour"]} for c in CLASSES]
    guess = {"by": "guess:q1", "v": str(len(MEMORY.events)), "kind": "category", "title": "guess", "legend": names}
    map_view(dataset="demo", space=f"s{N}", generation=1, n=N, key="map", height=320, colour=guess)
    st.text(f"runs: {st.session_state.runs}")


def main() -> None:
    st.set_page_config(page_title="Components", layout="wide")
    view, n = st.query_params.get("view", "map"), int(st.query_params.get("n", 1500))
    if view == "gallery":
        gallery_page(n)
    elif view == "labeller":
        labeller_page()
    elif view == "twins":
        twins_page(n)
    else:
        map_page(n)


if get_script_run_ctx(suppress_warning=True) is None:
    app = st.App(__file__, routes=ROUTES)
else:
    main()
