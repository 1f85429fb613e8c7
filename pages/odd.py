"""What is odd? Pictures unlike the rest, pictures that are there twice, and files that could not be read."""

import streamlit as st

from explorer.web import paging, state, views
from explorer.web.components.gallery import gallery

SHOWN = 120
TABS = {"odd": "Unlike the rest", "twice": "There twice", "problems": "Problems"}

view = state.open_view("odd")
dataset, space = view.dataset, view.space
groups = space.duplicates
problems = dataset.items[dataset.items["status"] == "problem"]
counts = {"odd": "", "twice": f" ({groups['group'].nunique():,})", "problems": f" ({len(problems):,})"}
tab = st.segmented_control(
    "What to look at", list(TABS), format_func=lambda t: TABS[t] + counts[t], default=state.get("tab", "odd"),
    label_visibility="collapsed", required=True,
)  # fmt: skip
state.put(tab=None if tab == "odd" else tab)

if tab == "odd":
    st.caption(
        "The most unusual first: pictures with nothing close to them, or far from the middle of the collection. "
        "They may be mistakes, rarities, or the most interesting ones."
    )
    rows = paging.rows_of(view.rt, dataset, space, "odd", str(view.filter))
    cards = views.row_cards(dataset, space, rows[:SHOWN])
    gallery(
        [{**card, "badge": str(place)} for place, card in enumerate(cards, 1)], dataset=dataset.id, space=space.key,
        key="odd-gallery", on_similar=state.similar, empty="No picture passes the filter.",
        more={"of": "odd", "f": str(view.filter), "total": len(rows)},
    )  # fmt: skip

elif tab == "twice":
    shown = groups[view.mask[groups["row"].to_numpy()]] if len(groups) else groups
    exact = shown[shown["kind"] == "exact"]["group"].nunique()
    st.caption(
        f"{shown['group'].nunique():,} sets of pictures that are the same or nearly so; in {exact:,} of them the files "
        "are identical to the last byte."
    )
    if not len(shown):
        state.empty("Nothing is there twice", "No two pictures are the same or nearly the same.")
    page = [rows for _, rows in shown.groupby("group", sort=True)][:60]
    for start in range(0, len(page), 3):
        for column, rows in zip(st.columns(3), page[start : start + 3], strict=False):
            with column.container(border=True):
                same = (rows["kind"] == "exact").all()
                st.markdown(f"**{len(rows)} pictures** · " + ("identical files" if same else "nearly the same"))
                gallery(
                    views.row_cards(dataset, space, rows["row"]), dataset=dataset.id, space=space.key, size=96,
                    controls=False, key=f"twice-{rows['group'].iloc[0]}", on_similar=state.similar,
                )  # fmt: skip
    if shown["group"].nunique() > len(page):
        st.caption(f"The first {len(page)} sets are shown.")

else:
    st.caption("Files that could not be used. They stay in the list, with the reason, and stop nothing else.")
    if not len(problems):
        state.empty("No problems", "Every file of the collection could be read.")
    listed = problems[["path", "problem"]].rename(columns={"path": "File", "problem": "Why it is left out"})
    st.dataframe(listed, hide_index=True)
    gone = int((dataset.items["status"] == "gone").sum())
    if gone:
        st.caption(f"{gone:,} further pictures were removed from the collection since it was first looked at.")
