"""Pictures like this one: from any picture of the collection, or one of your own."""

import numpy as np
import streamlit as st

from explorer.collection.embedding import DECODE_SIDE
from explorer.collection.images import decode
from explorer.errors import ExplorerError, NotFound
from explorer.extractors.base import TextEncoder, prepared
from explorer.web import state, views
from explorer.web.components.gallery import gallery

SHOWN = 60
NEARLY_THE_SAME = 0.9

view = state.open_view("similar")
rt, dataset, space = view.rt, view.dataset, view.space
rows = view.rows()


def _features_of(upload: bytes) -> np.ndarray:
    """(1, d) vector of an uploaded picture in this space."""
    raw = []
    for key, _ in space.recipe.features:
        extractor = rt.extractor(dataset.features(key).spec)
        picture = decode(upload, min_side=max(DECODE_SIDE, extractor.min_side))
        raw.append(extractor.compute(prepared(extractor, upload, picture.rgb)[None]))
    return space.transform(raw)


def _nearest(vector: np.ndarray) -> list[dict]:
    if len(rows) == 0:
        return []
    if view.filtered:
        scores = space.vectors[rows] @ vector.ravel()
        order = np.argsort(-scores, kind="stable")[: SHOWN + 1]
        found, scores = rows[order], scores[order]
    else:
        found, scores = space.search(vector, SHOWN + 1)
    near = {space.uids[int(row)]: float(score) for row, score in zip(np.ravel(found), np.ravel(scores), strict=True)}
    cards = views.row_cards(dataset, space, np.ravel(found))
    return [{**card, "note": _closeness(near[card["uid"]])} for card in cards]


def _closeness(score: float) -> str:
    """Words only where they say something: a score between strangers is no percentage of anything."""
    return "nearly the same" if score > NEARLY_THE_SAME else ""


def _text_side() -> TextEncoder | None:
    """The extractor of this space if it also reads words."""
    if len(space.recipe.features) != 1:
        return None
    spec = dataset.features(space.recipe.features[0][0]).spec
    if not spec.extractor.startswith(("open_clip", "text_what")):
        return None
    extractor = rt.extractor(spec)
    return extractor if isinstance(extractor, TextEncoder) else None


left, right = st.columns([1, 3], gap="large")
with left:
    uid = state.get("uid")
    upload = None
    if state.can("label", view.dataset.id):  # the door takes no file from whoever only looks
        upload = st.file_uploader(
            "Look for a picture of your own", type=["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"],
            help="It is compared and forgotten; it does not become part of the collection.",
        )  # fmt: skip
    try:
        text_side = _text_side()
    except ExplorerError as error:
        text_side = None
        state.shown(error)
    text = st.text_input("Or in words", value=state.get("text"), key="similar-text") if text_side else ""

title, found = "", []
try:
    if upload is not None:
        vector = _features_of(upload.getvalue())
        left.image(upload.getvalue(), caption=upload.name)
        title, found = "Pictures like yours", _nearest(vector)
    elif text and text_side is not None:
        state.put(text=text)
        title, found = f"Pictures of “{text}”", _nearest(space.transform([text_side.encode_text([text])]))
    else:
        if not uid or uid not in space.rows:
            if uid:
                st.warning("That picture is not in this collection (any more). Here is another one.")
            uid = space.uids[int(rows[0])] if len(rows) else space.uids[0]
            state.put(uid=uid)
        details = views.item_details(dataset, None, uid)
        with left:
            gallery(
                [details], dataset=dataset.id, space=space.key, key="similar-this", size=240, controls=False,
                on_similar=state.similar,
            )  # fmt: skip
            for name, value in details["columns"]:
                st.caption(f"{views.plain(name)}: {views.plain(value)}")
            if st.button("Another one", icon=":material/casino:") and len(rows):
                state.put(uid=space.uids[int(np.random.default_rng().choice(rows))])
                st.rerun()
        title = "Pictures like this"
        found = [card for card in _nearest(space.vectors[space.rows[uid]]) if card["uid"] != uid]
except ExplorerError as error:
    if not isinstance(error, NotFound):
        error = type(error)(f"That picture cannot be used: {error}")
    state.shown(error)

with right:
    if title:
        st.subheader(title, anchor=False)
        st.caption(f"The nearest first, compared by: {space.title}." + (" Filter is on." if view.filtered else ""))
    gallery(
        found[:SHOWN], dataset=dataset.id, space=space.key, key="similar-found", on_similar=state.similar,
        empty="No picture passes the filter.",
    )  # fmt: skip
