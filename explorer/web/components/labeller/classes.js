// The answers of a question as buttons: classes, grades as a scale, several at once, "none of these" apart.

const FIND_FROM = 10; // more answers than digits: find one by typing

class ClassBar {
  constructor(panel) {
    this.panel = panel;
    this.buttons = new Map();
    this.list = el("div", { class: "lr-classes", role: "group", on: {
      mousedown: (event) => { if (!this.find.hidden) event.preventDefault(); }, // the field must not close under the click
    } });
    this.list.setAttribute("aria-label", "Answers");
    this.find = el("input", { class: "lr-find", type: "search", placeholder: "Type part of an answer, then Enter", hidden: true, autocomplete: "off",
      on: { input: () => this.filter(), keydown: (event) => this.onFindKey(event), blur: () => this.closeFind() } });
    this.find.setAttribute("aria-label", "Find an answer");
    this.about = el("div", { class: "lr-about", role: "note", hidden: true });
    this.node = el("div", { class: "lr-bar-classes" }, this.list, this.find, this.about);
  }

  show(question) {
    this.question = question;
    this.buttons = new Map();
    this.closeAbout();
    const own = question.classes.filter((each) => !each.none);
    const apart = question.classes.filter((each) => each.none);
    const group = el("div", { class: `lr-group ${question.kind === "grades" ? "lr-scale" : ""}` });
    group.append(...own.map((each, place) => this.button(each, place < 9 ? String(place + 1) : "")));
    this.list.replaceChildren(group);
    if (apart.length) this.list.append(el("div", { class: "lr-apart" }, ...apart.map((each) => this.button(each, "−"))));
    if (question.classes.length >= FIND_FROM) {
      this.list.append(el("button", { type: "button", class: "lr-other", title: "Find an answer by its name (/)", on: { click: () => this.openFind() } },
        el("kbd", { class: "ex-key", textContent: "/" }), "Find"));
    }
    if (question.kind === "attributes") {
      this.done = el("button", { type: "button", class: "lr-done", title: "Keep what is marked, and on to the next picture (Enter)",
        on: { click: (event) => this.panel.finish(event.timeStamp) } }, "Done", el("kbd", { class: "ex-key", textContent: "Enter" }));
      this.list.append(this.done);
    }
  }

  button(each, key) {
    const dot = el("span", { class: "lr-dot" });
    dot.style.background = each.colour;
    const button = el("button", { type: "button", class: "lr-class", data: { id: each.id }, title: each.note ? `${each.name}: ${each.note}` : each.name,
      on: { click: (event) => this.panel.press(each.id, event.timeStamp) } });
    if (key) button.append(el("kbd", { class: "ex-key", textContent: key }));
    button.append(dot, el("span", { class: "lr-name", textContent: each.name }), el("span", { class: "lr-count" }));
    button.style.setProperty("--class", each.colour);
    this.buttons.set(each.id, button);
    if (!each.note && !each.examples?.length) return button;
    const what = el("button", { type: "button", class: "lr-what", textContent: "?", title: `What counts as “${each.name}”`, on: { click: () => this.toggleAbout(each) } });
    what.setAttribute("aria-label", what.title);
    return el("span", { class: "lr-with" }, button, what);
  }

  /** The class that a key stands for: a digit by its place, minus for "none of these". */
  keyed(event) {
    const digit = digitOf(event);
    if (event.key === "-" && digit < 0) return this.question.classes.find((each) => each.none);
    return digit > 0 ? this.question.classes.filter((each) => !each.none)[digit - 1] : undefined;
  }

  counts(counts) {
    for (const [id, button] of this.buttons) button.lastChild.textContent = counting.format(counts.get(id) ?? 0);
  }

  /** Several may be true: those that are marked for the picture in focus. */
  mark(ids) {
    for (const [id, button] of this.buttons) {
      if (ids) button.setAttribute("aria-pressed", String(ids.has(id)));
      else button.removeAttribute("aria-pressed");
    }
  }

  toggleAbout(each) {
    if (!this.about.hidden && this.about.dataset.id === each.id) {
      this.closeAbout();
      return;
    }
    const { data, root } = this.panel;
    const entries = each.examples ?? [];
    const shown = entries.map((entry, at) => {
      const open = el("button", { type: "button", class: "lr-example", title: entry.caption,
        on: { click: () => openLightbox({ dataset: data.dataset, space: data.space, entries, at, themeFrom: root, onSimilar: this.panel.onSimilar() }) } },
      thumbImage(data.dataset, entry.hash, entry.caption));
      open.setAttribute("aria-label", `Example: ${entry.caption}`);
      return open;
    });
    this.about.dataset.id = each.id;
    this.about.replaceChildren(
      el("div", {}, el("strong", { textContent: each.name }), each.note ? ` — ${each.note}` : ""),
      shown.length ? el("div", { class: "lr-examples" }, ...shown) : el("div", { class: "ex-quiet", textContent: "No example pictures yet: E makes one of the picture in focus." }),
      iconButton("close", "Close", "", () => this.closeAbout(), "lr-about-close"));
    this.about.hidden = false;
  }

  closeAbout() {
    this.about.hidden = true;
  }

  openFind() {
    this.find.hidden = false;
    this.find.value = "";
    this.filter();
    this.find.focus();
  }

  closeFind() {
    this.find.hidden = true;
    this.find.value = "";
    this.filter();
  }

  filter() {
    const wanted = this.find.value.trim().toLowerCase();
    let first = true;
    for (const each of this.question.classes) {
      const button = this.buttons.get(each.id);
      const fits = each.name.toLowerCase().includes(wanted);
      (button.parentElement.classList.contains("lr-with") ? button.parentElement : button).hidden = !fits;
      button.classList.toggle("lr-first", Boolean(wanted) && fits && first);
      if (fits) first = false;
    }
  }

  onFindKey(event) {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    const wanted = this.find.value.trim().toLowerCase();
    const found = event.key === "Enter" && wanted ? this.question.classes.find((each) => each.name.toLowerCase().includes(wanted)) : undefined;
    this.panel.batch.grid.focus({ preventScroll: true }); // closes the field
    if (found) this.panel.press(found.id, event.timeStamp);
  }
}
