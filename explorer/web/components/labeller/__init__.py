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
        *(f"labeller/{name}.js" for name in ("queue", "book", "told", "classes", "keys")),
        *(f"labeller/{name}.js" for name in ("batch", "sorted", "news", "labeller")),
    ),
)
_CLASS = ("id", "name", "colour", "count", "note", "none", "examples")


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
    set: Mapping[str, str] | None = None,
    results: bool = False,
    on_policy: Callable[[dict[str, Any]], None] | None = None,
    on_example: Callable[[dict[str, Any]], None] | None = None,
    on_results: Callable[[], None] | None = None,
    on_changed: Callable[[dict[str, Any]], None] | None = None,
    on_similar: Callable[[str], None] | None = None,
) -> None:
    """Show the panel for `question` as it stands at event `seq`.

    `question`: {id, name, kind, classes: [{id, name, colour, count, note, none, examples: [{uid, hash, caption}]}]}.
    `policies` [{id, title, why}] are the ways of choosing the next pictures, `policy` the one to begin with; `set`
    {id, title} names pictures to answer first (batch.json?set=). Answers are sent by the browser (POST answers), and
    the panel asks for pictures, orders and what others do itself (batch.json, order.json, recent.json, news.json):
    nothing here reruns the page.
    After new scores the window hears "explorer:scores" {question, seq}, which the map listens to.

    Before a rerun `on_policy({"policy"})` is called when another way of choosing was picked, `on_example({"uid",
    "class_id"})` when a picture shall show what counts as a class, `on_changed({"seq"})` three seconds after the last
    stored answer; leave it out unless the page has to show something anew. `on_similar(uid)` and, with `results`,
    `on_results()` ("How good is it?") are called in the running script.
    """
    data = {
        "dataset": dataset,
        "space": space,
        "question": {
            "id": question["id"],
            "name": question["name"],
            "kind": question.get("kind", "classes"),
            "classes": [{name: each.get(name) for name in _CLASS} for each in question["classes"]],
        },
        "seq": int(seq),
        "policy": policy,
        "policies": [{name: str(each.get(name, "")) for name in ("id", "title", "why")} for each in policies],
        "showGuess": show_guess,
        "filter": filter,
        "set": dict(set) if set else None,
        "results": results,
        "examples": on_example is not None,
        "tellPolicy": on_policy is not None,
        "similar": on_similar is not None,
        "tellChanged": on_changed is not None,
    }
    result = _component(
        key=key,
        data=data,
        on_changed_change=on_trigger(key, "changed", lambda value: on_changed(value) if on_changed else None),
        on_policy_change=on_trigger(key, "policy", lambda value: on_policy(value) if on_policy else None),
        on_example_change=on_trigger(key, "example", lambda value: on_example(value) if on_example else None),
        on_results_change=lambda: None,
        on_similar_change=lambda: None,
    )
    if trigger_value(result, "results") and on_results:
        on_results()
    asked = trigger_value(result, "similar")
    if asked and on_similar:
        on_similar(str(asked["uid"]))
