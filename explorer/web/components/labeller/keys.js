// The keys of the panel, and what they are called.

const SPECIAL = [
  { key: "0", value: "unsure", words: "Not sure", title: "I cannot tell (0)" },
  { key: "S", value: "skip", words: "Skip", title: "Leave this one out for now (S)" },
  { key: "X", value: "unusable", words: "Not usable", title: "This picture should not count (X)" },
];

/** The line that says which keys do what, for this kind of question. */
function keyHelp({ question: { kind, classes }, examples }) {
  const several = kind === "attributes";
  const none = classes.find((each) => each.none);
  const keys = [["1–9", several ? "mark" : "answer"]];
  if (several) keys.push(["Enter", "done, next"]);
  if (none) keys.push(["−", none.name]);
  if (classes.length >= FIND_FROM) keys.push(["/", "find an answer"]);
  keys.push(["arrows", "move"], ["space", "select several"], ["Ctrl+A", "select all"], ["Z", "large"], ["U", "take back"], ["R", "give again"], ["N", "next pictures"]);
  if (examples) keys.push(["E", "make it an example"]);
  return keys.map(([key, words]) => el("span", {}, el("kbd", { class: "ex-key", textContent: key }), ` ${words}`));
}

/** Do what a key stands for; false if it stands for nothing here. */
function actOn(panel, event) {
  const digit = digitOf(event);
  if (event.repeat && event.key.length === 1) return true; // a key held down is one press
  const onButton = deepFocus() instanceof HTMLButtonElement;
  if (!(onButton && event.key === "Enter") && panel.told.key(event)) return true;
  if (event.key === "Escape" && panel.exampling) {
    panel.exampling = undefined;
    panel.told.hide();
    return true;
  }
  if (event.key === "/") {
    panel.bar.openFind();
    return true;
  }
  const pressed = panel.bar.keyed(event);
  if (pressed) panel.press(pressed.id, event.timeStamp);
  if (pressed || digit > 0) return true;
  if (event.key.startsWith("Arrow") || /^(Home|End|PageUp|PageDown)$/.test(event.key)) {
    return panel.sorted.focusedItem() ? panel.sorted.arrow(event) : panel.batch.arrow(event);
  }
  if (event.key === " " && !onButton) {
    panel.batch.toggle();
    return true;
  }
  if (event.key === "Enter" && !onButton && panel.several()) {
    panel.finish(event.timeStamp);
    return true;
  }
  if (event.key === "Enter" && deepFocus() === panel.batch.grid) {
    panel.batch.zoom();
    return true;
  }
  if (event.key === "Escape" && panel.batch.selected.size) {
    panel.batch.clearSelection();
    panel.batch.paint();
    return true;
  }
  const letter = digit === 0 ? "0" : letterOf(event);
  const special = SPECIAL.find((each) => each.key.toLowerCase() === letter);
  if (special) panel.answer({ value: special.value, class_ids: [] }, event.timeStamp);
  else if (letter === "r" || (letter === "u" && event.shiftKey)) panel.redo(event.timeStamp);
  else if (letter === "u") panel.undo(event.timeStamp);
  else if (letter === "n") panel.batch.load();
  else if (letter === "z") panel.batch.zoom();
  else if (letter === "e" && panel.data.examples) panel.example();
  else return letter === "c"; // Streamlit's own shortcut would empty its caches
  return true;
}
