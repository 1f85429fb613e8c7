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
            handler(value)

    return callback


def trigger_value(result: Any, name: str) -> Any:
    """What trigger `name` brought in this very run, or None."""
    return result.get(name)
