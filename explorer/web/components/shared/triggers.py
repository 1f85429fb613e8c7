"""How what a component sends reaches a plain function."""

from collections.abc import Callable
from typing import Any

import streamlit as st


def on_trigger(key: str, name: str, handler: Callable[[Any], None]) -> Callable[[], None]:
    """A Streamlit callback that hands the value of trigger `name` of component `key` to `handler`.

    It runs before the script. A trigger's value is gone at the next run: the handler has to keep what it needs.
    """

    def callback() -> None:
        value = st.session_state[key].get(name)
        if value is not None:
            if isinstance(value, dict) and "at" in value:
                st.session_state[f"{key}:heard"] = value["at"]
            handler(value)

    return callback


def heard(key: str) -> Any:
    """The `at` of the last event of component `key` that was handled: what the browser did after it, the script that
    runs does not know yet."""
    return st.session_state.get(f"{key}:heard")


def trigger_value(result: Any, name: str) -> Any:
    """What trigger `name` brought in this very run, or None."""
    return result.get(name)
