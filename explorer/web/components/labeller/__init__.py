"""The labelling panel: keys and buttons that answer, the sorted result below; it talks to our own routes only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import on_trigger, trigger_value

_component = st.components.v2.component(
    "explorer_labeller",
    html="<div class='ex-root'></div>",
    css=style("labeller/labeller.css"),
    js=script(
        "labeller/queue.js", "labeller/book.js", "labeller/batch.js", "labeller/sorted.js", "labeller/labeller.js"
    ),
)


def labeller(
    *,
    dataset: str,
    space: str,
    question: Mapping[str, Any],
    seq: int,
    policy: str,
    policies: Sequence[Mapping[str, str]],
    key: str,
    show_guess: bool,
    filter: str = "",
    on_changed: Callable[[dict[str, Any]], None] | None = None,
    on_similar: Callable[[str], None] | None = None,
) -> None:
    """Show the panel for `question` {id, name, classes: [{id, name, colour, count}]} as it stands at event `seq`.

    `policies` [{id, title, why}] are the ways of choosing the next pictures, `policy` the one to begin with. Answers
    are sent by the browser (POST answers), and the panel asks for pictures and orders itself (batch.json,
    order.json): nothing here reruns the page. After new scores the window hears "explorer:scores" {question, seq},
    which the map listens to.

    `on_changed({"seq"})` is called before a rerun, three seconds after the last stored answer; leave it out
    unless the page has to show something anew. `on_similar(uid)` is called in the running script.
    """
    data = {
        "dataset": dataset,
        "space": space,
        "question": {
            "id": question["id"],
            "name": question["name"],
            "classes": [
                {name: each.get(name) for name in ("id", "name", "colour", "count")} for each in question["classes"]
            ],
        },
        "seq": int(seq),
        "policy": policy,
        "policies": [{name: str(each.get(name, "")) for name in ("id", "title", "why")} for each in policies],
        "showGuess": show_guess,
        "filter": filter,
        "similar": on_similar is not None,
        "tellChanged": on_changed is not None,
    }
    result = _component(
        key=key,
        data=data,
        on_changed_change=on_trigger(key, "changed", lambda value: on_changed(value) if on_changed else None),
        on_similar_change=lambda: None,
    )
    asked = trigger_value(result, "similar")
    if asked and on_similar:
        on_similar(str(asked["uid"]))
