// The filter: what is chosen as chips, and below headings everything that there is to filter by.

const panels = new WeakMap();
const TYPING_MS = 250;
const REST_MS = 450;
const FORGET_MS = 10000;
const OPEN_FIRST = 2;

class FilterPanel {
  constructor(root) {
    this.root = root;
    this.facets = new Map();
    this.opened = new Set();
    this.toggle = el("button", { type: "button", class: "fp-head", on: { click: () => this.setShown(!this.shown) } },
      el("span", { class: "fp-arrow", aria: { hidden: "true" } }), el("span", { class: "fp-title", textContent: "Filter" }));
    this.all = el("button", { type: "button", class: "fp-link", textContent: "Show all", hidden: true, on: { click: () => this.change(() => ({})) } });
    this.status = el("div", { class: "fp-status ex-quiet", role: "status", hidden: true });
    this.chips = el("div", { class: "fp-chips", role: "group" });
    this.chips.setAttribute("aria-label", "What the filter asks for");
    this.words = el("input", { type: "search", class: "fp-field", placeholder: "Words in caption or name", autocomplete: "off", on: {
      input: () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.change((state) => ({ ...state, words: this.words.value.trim() })), TYPING_MS);
      },
    } });
    this.words.setAttribute("aria-label", "Words in caption or name");
    this.list = el("div", { class: "fp-list" });
    this.body = el("div", { class: "fp-body" }, this.words, this.list);
    this.root.replaceChildren(el("section", { class: "fp" }, el("div", { class: "fp-top" }, this.toggle, this.all), this.status, this.chips, this.body));
    this.root.addEventListener("keydown", (event) => { if (!event.metaKey && !event.ctrlKey) event.stopPropagation(); }); // Streamlit's own keys stay asleep
    this.onScores = () => this.answered();
    window.addEventListener("explorer:scores", this.onScores);
  }

  update({ data, setTriggerValue }) {
    const before = this.data;
    this.data = data;
    this.trigger = setTriggerValue;
    const elsewhere = before?.dataset !== data.dataset;
    if (elsewhere) {
      const kept = recall(`explorer:filter:${data.dataset}`);
      this.opened = new Set(kept ? JSON.parse(kept) : []);
      this.fresh = !kept;
      this.facets.clear();
      this.list.replaceChildren();
      this.sent = undefined;
      this.setShown(recall("explorer:filter-shown") === "1" || Boolean(data.filter), false);
    }
    const late = this.sent !== undefined && data.heard !== this.sent && performance.now() - this.sentAt < FORGET_MS;
    if (late && before?.space === data.space) return; // an echo of an earlier choice must not take this one back
    if (this.waiting && !elsewhere) return;
    const sign = canonical(data.filter);
    if (elsewhere || sign !== this.sign || before?.space !== data.space) {
      this.sign = sign;
      this.state = data.filter ? JSON.parse(data.filter) : {};
      for (const part of ["in", "between", "has"]) for (const name of Object.keys(this.state[part] ?? {})) this.opened.add(name);
      this.ask();
      if (before) this.tellMaps(); // by another link, or by the way back
    }
  }

  setShown(shown, keep = true) {
    this.shown = shown;
    this.toggle.setAttribute("aria-expanded", String(shown));
    this.body.hidden = !shown;
    if (keep) {
      remember("explorer:filter-shown", shown ? "1" : "");
      if (shown) this.ask();
    }
  }

  /** `how(state)` gives the new one. The counts and the maps follow at once, the page when the choice rests. */
  change(how) {
    this.state = tidied(how(this.state));
    const filter = canonical(JSON.stringify(this.state));
    if (filter === this.sign) return;
    this.sign = filter;
    this.ask();
    this.tellMaps();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      this.waiting = undefined;
      this.sent = Math.max(Date.now(), (this.sent ?? 0) + 1);
      this.sentAt = performance.now();
      this.trigger("filter", { filter: this.sign, at: this.sent });
    }, REST_MS);
  }

  tellMaps() {
    const { dataset } = this.data;
    window.dispatchEvent(new CustomEvent("explorer:filter", { detail: { dataset, filter: this.sign } }));
  }

  /** Answers that have come: what is shown of them is counted anew. */
  answered() {
    const asked = /"@(answer|guess|score):/;
    if (!asked.test(this.sign) && !(this.shown && asked.test(JSON.stringify([...this.opened])))) return;
    clearTimeout(this.again);
    this.again = setTimeout(() => {
      this.ask();
      if (asked.test(this.sign)) this.tellMaps();
    }, TYPING_MS);
  }

  async ask() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const { dataset, space } = this.data;
    const open = this.shown ? JSON.stringify([...this.opened].slice(0, 30)) : "[]";
    try {
      const began = performance.now();
      const said = await getJson(address(dataset, "filter.json", { space, f: this.sign || undefined, open }), asking.signal);
      if (asking !== this.asking) return;
      this.root.dataset.askedMs = (performance.now() - began).toFixed(1);
      this.show(said);
    } catch (error) {
      if (error.name === "AbortError" || asking !== this.asking) return;
      this.status.hidden = false;
      this.status.textContent = error.message;
      this.all.hidden = !this.sign;
    }
  }

  show({ shown, all, facets, chips }) {
    if (this.fresh && this.shown) { // a few are open when one comes for the first time
      this.fresh = false;
      facets.slice(0, OPEN_FIRST).forEach((each) => this.opened.add(each.name));
      if (this.opened.size) this.ask();
    }
    this.status.hidden = !this.sign;
    this.status.textContent = `${counting.format(shown)} of ${pictures(all)}`;
    this.root.dataset.shown = String(shown);
    this.all.hidden = !this.sign;
    this.chips.hidden = !chips.length;
    this.chips.replaceChildren(...chips.map(([name, title, words]) => this.chip(name, title, words)));
    if (this.words.getRootNode().activeElement !== this.words) this.words.value = this.state.words ?? "";
    const names = JSON.stringify(facets.map((each) => [each.about, each.name, each.title]));
    if (names !== this.names) {
      this.names = names;
      this.lay(facets.filter((each) => each.about));
    }
    for (const said of facets) this.facets.get(said.name)?.show(said, this.opened.has(said.name));
  }

  lay(facets) {
    const nodes = [];
    let about;
    for (const each of facets) {
      if (each.about !== about) nodes.push(el("div", { class: "fp-about", textContent: each.about }));
      about = each.about;
      if (!this.facets.has(each.name)) this.facets.set(each.name, new FacetView(this, each.name, each.title));
      nodes.push(this.facets.get(each.name).node);
    }
    this.list.replaceChildren(...nodes);
  }

  chip(name, title, words) {
    const node = el("button", { type: "button", class: "fp-chip", title: `${title}: ${words}. Take it out.`, on: { click: () => this.drop(name) } },
      el("span", { class: "fp-chip-words", textContent: `${title}: ${words}` }), icon("close"));
    return node;
  }

  drop(name) {
    if (!name) this.words.value = "";
    this.change((state) => (name ? without(state, name) : { ...state, words: "" }));
  }

  put(part, name, value) {
    this.change((state) => ({ ...state, [part]: { ...state[part], [name]: value } }));
  }

  open(name, open) {
    if (open) this.opened.add(name);
    else this.opened.delete(name);
    remember(`explorer:filter:${this.data.dataset}`, JSON.stringify([...this.opened]));
    this.fresh = false;
    this.ask();
  }

  destroy() {
    for (const timer of [this.typing, this.waiting, this.again]) clearTimeout(timer);
    for (const facet of this.facets.values()) facet.destroy();
    this.asking?.abort();
    window.removeEventListener("explorer:scores", this.onScores);
  }
}

/** One thing to filter by: its heading, which opens it, and what it shows. */
class FacetView {
  constructor(panel, name, title) {
    this.tell = {
      chosen: () => panel.state.in?.[name] ?? [],
      ends: () => panel.state.between?.[name] ?? [null, null],
      choose: (values) => panel.put("in", name, values),
      between: (ends) => panel.put("between", name, ends),
      has: (text) => panel.put("has", name, text),
    };
    this.head = el("button", { type: "button", class: "fp-facet-head", on: { click: () => panel.open(name, !this.isOpen) } },
      el("span", { class: "fp-arrow", aria: { hidden: "true" } }), el("span", { class: "fp-facet-title", textContent: title, title }));
    this.clear = el("button", { type: "button", class: "fp-link", textContent: "clear", hidden: true, on: { click: () => panel.drop(name) } });
    this.clear.setAttribute("aria-label", `Take “${title}” out of the filter`);
    this.inside = el("div", { class: "fp-inside" });
    this.node = el("div", { class: "fp-facet", data: { name } }, el("div", { class: "fp-facet-top" }, this.head, this.clear), this.inside);
  }

  show(said, open) {
    this.isOpen = open;
    this.head.setAttribute("aria-expanded", String(open));
    this.clear.hidden = !said.on;
    this.inside.hidden = !open;
    if (!open) return;
    if (said.problem) {
      this.drawn?.destroy();
      this.drawn = this.kind = undefined;
      this.inside.replaceChildren(el("p", { class: "ex-quiet fp-problem", textContent: said.problem }));
    } else if (said.kind) {
      const kind = said.kind === "values" ? ValueLines : NumberBars;
      if (kind !== this.kind) {
        this.drawn?.destroy();
        this.kind = kind;
        this.drawn = new kind(this.tell);
        this.inside.replaceChildren(this.drawn.node);
      }
      this.drawn.show(said);
    }
  }

  destroy() {
    this.drawn?.destroy();
  }
}

function without(state, name) {
  const left = { ...state };
  for (const part of ["in", "between", "has"]) {
    left[part] = { ...state[part] };
    delete left[part][name];
  }
  return left;
}

/** Without what asks for nothing. */
function tidied(state) {
  const left = {};
  for (const part of ["in", "between", "has"]) {
    const asked = Object.entries(state[part] ?? {}).filter(([, value]) => (Array.isArray(value) ? value.length : value));
    if (asked.length) left[part] = Object.fromEntries(asked);
  }
  if (state.words) left.words = state.words;
  return left;
}

/** The same text for the same filter, whoever wrote it; "" for none. */
function canonical(text) {
  const state = text ? tidied(JSON.parse(text)) : {};
  return Object.keys(state).length ? JSON.stringify(state) : "";
}

export default function (component) {
  return mountOnce(panels, component, (root) => new FilterPanel(root));
}
