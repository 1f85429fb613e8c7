// The labelling panel. A press is painted in the same frame, stored by a POST, and sorted anew, without a rerun.

const labellers = new WeakMap();
const SPECIAL = [
  { key: "0", value: "unsure", words: "Not sure", title: "I cannot tell (0)" },
  { key: "S", value: "skip", words: "Skip", title: "Leave this one out for now (S)" },
  { key: "X", value: "unusable", words: "Not usable", title: "This picture should not count (X)" },
];

class Labeller {
  constructor(root) {
    this.root = root;
    this.batch = new Batch(this);
    this.sorted = new Sorted(this);
    this.build();
    this.onKey = this.onKey.bind(this);
    window.addEventListener("keydown", this.onKey, { capture: true });
  }

  build() {
    this.classes = el("div", { class: "lr-classes", role: "group" });
    this.classes.setAttribute("aria-label", "Answers");
    this.undoButton = iconButton("undo", "Take the last answer back (U)", "", (event) => this.undo(event.timeStamp));
    this.redoButton = iconButton("redo", "Give it again (R)", "", (event) => this.redo(event.timeStamp));
    this.saved = el("button", { type: "button", class: "lr-saved", role: "status", on: { click: () => this.queue.flush() } });
    const others = SPECIAL.map((each) => el("button", { type: "button", class: "lr-other", title: each.title, data: { value: each.value },
      on: { click: (event) => this.answer(each.value, null, event.timeStamp) } }, el("kbd", { class: "ex-key", textContent: each.key }), each.words));
    this.others = el("div", { class: "lr-others" }, ...others);
    this.turns = el("div", { class: "lr-turns" }, this.undoButton, this.redoButton, this.saved);
    this.bar = el("div", { class: "lr-answers" }, this.classes, el("div", { class: "lr-second" }, this.others, this.turns));
    this.notice = el("div", { class: "lr-notice", role: "alert", hidden: true });
    this.keys = el("p", { class: "lr-keys ex-quiet" });
    const keys = [["1–9", "answer"], ["arrows", "move"], ["space", "select several"], ["Z", "large"], ["U", "take back"], ["N", "next pictures"]];
    this.keys.append(...keys.map(([key, words]) => el("span", {}, el("kbd", { class: "ex-key", textContent: key }), ` ${words}`)));
    this.root.replaceChildren(el("div", { class: "lr" }, this.bar, this.notice, this.batch.node, this.keys, this.sorted.node));
  }

  update({ data, setTriggerValue }) {
    const before = this.data;
    this.data = data;
    this.trigger = setTriggerValue;
    const name = JSON.stringify([data.dataset, data.question.id, data.space, data.filter]);
    const fresh = name !== this.name;
    if (fresh) this.attach(name);
    this.base = { counts: Object.fromEntries(data.question.classes.map((each) => [each.id, each.count ?? 0])), seq: data.seq };
    if (fresh || JSON.stringify(before.question) !== JSON.stringify(data.question)) this.showClasses();
    if (fresh || JSON.stringify([before.policies, before.policy]) !== JSON.stringify([data.policies, data.policy])) {
      this.batch.setPolicies(data.policies, data.policy);
    }
    if (fresh) {
      this.batch.items = [];
      this.batch.load();
      this.sorted.cards = new Map();
      this.sorted.refresh();
    } else if (data.seq > before.seq) {
      this.sorted.refresh(); // somebody else has answered
    }
    if (before && before.showGuess !== data.showGuess) {
      this.batch.shown = undefined;
      this.batch.focus(this.batch.at);
    }
    this.paint();
  }

  attach(name) {
    this.name = name;
    this.queue?.listeners.delete(this.listener);
    this.queue = queueOf(this.data.dataset, this.data.question.id);
    this.book = this.queue.book ??= new AnswerBook(this.queue);
    this.listener = {
      stored: (seqs) => this.stored(seqs),
      refused: (event, why) => this.refused(event, why),
      moved: () => this.showSaved(),
    };
    this.queue.listeners.add(this.listener);
    this.queue.flush();
  }

  seq() {
    return Math.max(this.data.seq, this.queue.latest);
  }

  showClasses() {
    const { classes } = this.data.question;
    this.classes.replaceChildren(...classes.map((each, place) => {
      const dot = el("span", { class: "lr-dot" });
      dot.style.background = each.colour;
      const button = el("button", { type: "button", class: "lr-class", data: { id: each.id }, title: each.name,
        on: { click: (event) => this.answer("yes", each.id, event.timeStamp) } });
      if (place < 9) button.append(el("kbd", { class: "ex-key", textContent: String(place + 1) }));
      button.append(dot, el("span", { class: "lr-name", textContent: each.name }), el("span", { class: "lr-count" }));
      button.style.setProperty("--class", each.colour);
      return button;
    }));
    this.sorted.setClasses(classes);
  }

  paint() {
    const counts = this.book.counts(this.base.counts, this.base.seq);
    for (const button of this.classes.children) button.lastChild.textContent = counting.format(counts.get(button.dataset.id) ?? 0);
    this.undoButton.disabled = !this.book.done.length;
    this.redoButton.disabled = !this.book.undone.length;
    this.showSaved();
  }

  showSaved() {
    const { waiting, trouble, latest } = this.queue;
    const many = waiting.length > 1 ? ` (${waiting.length})` : "";
    const state = trouble ? "retrying" : waiting.length ? "saving" : "saved";
    const words = { retrying: `Not saved, trying again${many}`, saving: `Saving…${many}`, saved: latest ? "Saved" : "" };
    this.saved.dataset.state = state;
    this.saved.textContent = words[state];
    this.saved.title = trouble ? `${trouble} The answers are kept in this browser. Click to try now.` : "";
    this.saved.disabled = state !== "retrying";
  }

  /** How an answer looks: its colour and its words. */
  lookOf(answer) {
    if (!answer) return { colour: "transparent", words: "" };
    if (answer.value !== "yes") return { colour: "var(--ex-quiet)", words: SPECIAL.find((each) => each.value === answer.value)?.words ?? answer.value };
    const found = this.data.question.classes.find((each) => each.id === answer.class_id);
    return { colour: found?.colour ?? "var(--ex-quiet)", words: found?.name ?? "answered" };
  }

  guessOf(item) {
    const found = this.data.question.classes.find((each) => each.id === item.guess?.class_id);
    return found ? { words: `${found.name}, ${item.guess.p >= SURE ? "sure" : "not sure"}` } : undefined;
  }

  onSimilar() {
    return this.data.similar ? (uid) => this.trigger("similar", { uid }) : undefined;
  }

  answer(value, classId, pressed) {
    const corrected = this.sorted.focusedItem();
    const targets = corrected ? [{ ...corrected, policy: "review", probability: null }] : this.batch.targets();
    if (!targets.length) return;
    this.book.give(targets, value, classId, { blind: !this.data.showGuess, space: this.data.space }, pressed);
    if (corrected) this.batch.paint();
    else this.batch.advance();
    this.sorted.paint();
    this.paint();
  }

  undo(pressed) {
    this.turned(this.book.undo(pressed));
  }

  redo(pressed) {
    this.turned(this.book.redo(pressed));
  }

  turned(entry) {
    if (!entry) return;
    const { item } = entry.parts[0];
    if (item.policy === "review") this.batch.paint();
    else this.batch.bring(item);
    this.sorted.paint();
    this.paint();
  }

  stored(seqs) {
    this.book.stored(seqs);
    this.sorted.refresh();
    if (!this.data.tellChanged) return;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.trigger("changed", { seq: this.queue.latest }), 3000);
  }

  refused(event, why) {
    this.book.refused(event);
    this.notice.textContent = `An answer was not taken: ${why}`;
    this.notice.hidden = false;
    clearTimeout(this.noticing);
    this.noticing = setTimeout(() => { this.notice.hidden = true; }, 12000);
    this.batch.paint();
    this.sorted.paint();
    this.paint();
  }

  learned(order) {
    if (order.counts) this.base = { counts: order.counts, seq: order.seq };
    this.paint();
  }

  /** Keys work wherever the page's focus is, except in fields and other components; ours come before Streamlit's. */
  onKey(event) {
    if (PAGE.lightbox || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const inside = event.composedPath().includes(this.root);
    if (!inside && document.activeElement !== document.body) return;
    if (!this.root.isConnected || !this.act(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  act(event) {
    const digit = digitOf(event);
    const { classes } = this.data.question;
    if (event.repeat && event.key.length === 1) return true; // a key held down is one press
    if (digit > 0) {
      if (classes[digit - 1]) this.answer("yes", classes[digit - 1].id, event.timeStamp);
      return true;
    }
    const onButton = deepFocus() instanceof HTMLButtonElement;
    if (event.key.startsWith("Arrow") || /^(Home|End|PageUp|PageDown)$/.test(event.key)) {
      return this.sorted.focusedItem() ? this.sorted.arrow(event) : this.batch.arrow(event);
    }
    if (event.key === " " && !onButton) {
      this.batch.toggle();
      return true;
    }
    if (event.key === "Enter" && deepFocus() === this.batch.grid) {
      this.batch.zoom();
      return true;
    }
    if (event.key === "Escape" && this.batch.selected.size) {
      this.batch.selected.clear();
      this.batch.paint();
      return true;
    }
    const letter = digit === 0 ? "0" : letterOf(event);
    const special = SPECIAL.find((each) => each.key.toLowerCase() === letter);
    if (special) this.answer(special.value, null, event.timeStamp);
    else if (letter === "r" || (letter === "u" && event.shiftKey)) this.redo(event.timeStamp);
    else if (letter === "u") this.undo(event.timeStamp);
    else if (letter === "n") this.batch.load();
    else if (letter === "z") this.batch.zoom();
    else return letter === "c"; // Streamlit's own shortcut would empty its caches
    return true;
  }

  destroy() {
    window.removeEventListener("keydown", this.onKey, { capture: true });
    this.queue?.listeners.delete(this.listener);
    clearTimeout(this.telling);
    clearTimeout(this.noticing);
    this.sorted.destroy();
  }
}

export default function (component) {
  return mountOnce(labellers, component, (root) => new Labeller(root));
}
