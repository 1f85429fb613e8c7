"""A link to copy: a field that shows it and a button that puts it on the clipboard."""

import streamlit as st

from explorer.web.components.shared.assets import style

_component = st.components.v2.component(
    "explorer_copier",
    html="<div class='ex-root'><div class='cp'><input readonly aria-label='Link'>"
    "<button type='button' class='ex-button'></button></div></div>",
    css=style() + ".cp{display:flex;gap:.5rem}.cp input{flex:1;min-width:0;padding:.5rem .7rem;border-radius:8px;"
    "border:1px solid var(--st-border-color);background:var(--st-secondary-background-color);"
    "color:var(--st-text-color);font:inherit}",
    js="""
export default function ({ data, parentElement }) {
  const [field, button] = [parentElement.querySelector("input"), parentElement.querySelector("button")];
  field.value = data.text;
  button.textContent = "Copy";
  field.onfocus = () => field.select();
  button.onclick = async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(data.text);
      button.textContent = "Copied";
    } catch (error) {
      button.textContent = "Press Ctrl+C"; // a page without https may not write to the clipboard
    }
  };
}
""",
)


def copier(text: str, *, key: str) -> None:
    """Show `text` with a button that copies it."""
    _component(key=key, data={"text": text})
