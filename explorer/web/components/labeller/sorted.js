// Every picture sorted by how likely an answer is; new after each answer, only the newest order is asked for.

const SHOWN_FIRST = 24;
const PAGE_OF = 480;
const SURE = 0.8;
const FIRST = [50, 100, 200, 500, 1000, 5000];

class Sorted {
  constructor(panel) {
    this.panel = panel;
    this.cards = new Map();
    this.items = [];
    this.count = SHOWN_FIRST;
    this.told = -1;
    this.build();
  }

  build() {
    this.title = el("h3", { textContent: "Sorted by answer" });
    this.quality = el("p", { class: "lr-quality ex-quiet", role: "status" });
    this.tabs = el("div", { class: "lr-tabs", role: "tablist" });
    this.grid = el("div", { class: "lr-sorted", role: "list", on: {
      click: (event) => this.onClick(event), pointerenter: () => { this.hovered = true; }, pointerleave: () => this.left(),
    } });
    this.message = el("div", { class: "ex-message", hidden: true });
    this.more = el("button", { type: "button", class: "ex-button lr-more", textContent: "Show more", hidden: true, on: { click: () => this.showMore() } });
    this.ask = el("button", { type: "button", class: "lr-link", textContent: "How good is it? When am I done?", hidden: true, on: { click: () => this.panel.askResults() } });
    this.allShown = el("button", { type: "button", class: "ex-button", on: { click: () => this.answerShown() } });
    this.first = el("select", { class: "lr-steps", on: { change: () => this.answerFirst() } });
    this.first.setAttribute("aria-label", "Answer the first of these at once");
    this.many = el("div", { class: "lr-many", hidden: true }, this.allShown, this.first);
    const head = el("div", { class: "lr-sorted-head" }, this.title, this.tabs);
    const said = el("div", { class: "lr-said" }, this.quality, this.ask);
    this.node = el("section", { class: "lr-results" }, head, said, this.many, this.grid, this.message, this.more);
  }

  setClasses(classes) {
    if (!classes.some((each) => each.id === this.chosen)) this.chosen = classes[0]?.id ?? "";
    this.tabs.replaceChildren(...classes.map((each) => {
      const dot = el("span", { class: "lr-dot" });
      dot.style.background = each.colour;
      const tab = el("button", { type: "button", class: "lr-tab", role: "tab", data: { id: each.id }, on: { click: () => this.choose(each.id) } }, dot, each.name);
      tab.setAttribute("aria-selected", String(each.id === this.chosen));
      return tab;
    }));
    this.nameMany();
  }

  choose(id) {
    this.chosen = id;
    this.count = SHOWN_FIRST;
    for (const tab of this.tabs.children) tab.setAttribute("aria-selected", String(tab.dataset.id === id));
    this.loading?.abort();
    this.hovered = false;
    this.busy = false;
    this.refresh();
  }

  showMore() {
    this.count += 2 * SHOWN_FIRST;
    this.hovered = false;
    this.refresh(this.items.length);
  }

  /** Ask for the newest order. While one is on its way, remember that a newer one is wanted: none is asked for twice. */
  // `from`: so many are here already, and stay if the order is still the same.
  async refresh(from = 0) {
    if (this.busy) {
      this.wanted = true;
      return;
    }
    this.busy = true;
    this.wanted = false;
    const { data } = this.panel;
    const after = this.panel.seq();
    const loading = (this.loading = new AbortController());
    const query = { question: data.question.id, space: data.space, after, class: this.chosen, f: data.filter || undefined };
    try {
      const order = await this.pages(query, from, loading.signal);
      if (this.loading !== loading) return;
      this.busy = false;
      this.failures = 0;
      this.arrived(order);
      this.late = order.seq < after ? (this.late ?? 0) + 1 : 0;
      if (this.late) this.again(Math.min(1200, 75 * 2 ** this.late)); // while many answer, a fit serves several presses
      else if (this.wanted) this.refresh();
    } catch (error) {
      if (error.name === "AbortError" || this.loading !== loading) return;
      this.busy = false;
      this.failures = (this.failures ?? 0) + 1;
      if (!this.items.length) this.tell(error.message, true);
      else this.quality.textContent = `The order could not be renewed: ${error.message}`;
      if (error.status !== 403 && error.status !== 404) this.again(Math.min(10000, 600 * 2 ** this.failures));
    }
  }

  /** As many as are shown, some at a time; from the start again where the order has changed between two pages. */
  async pages(query, from, signal) {
    let items = this.items.slice(0, from);
    let seq = from ? Number(this.grid.dataset.seq) : undefined;
    for (let turns = 0; ;) {
      const n = Math.min(PAGE_OF, this.count - items.length);
      const page = await getJson(address(this.panel.data.dataset, "order.json", { ...query, offset: items.length, n }), signal);
      if (items.length && page.seq !== seq && turns++ < 3) {
        items = [];
        continue;
      }
      seq = page.seq;
      items = [...items, ...page.items];
      if (items.length >= this.count || page.items.length < n) return { ...page, items };
    }
  }

  again(wait) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.refresh(), wait);
  }

  arrived(order) {
    this.panel.learned(order);
    if (this.hovered && this.items.length && order.ready) this.held = order; // nothing moves under a pointer about to click
    else this.show(order);
    if (order.ready && order.seq > this.told) {
      this.told = order.seq;
      window.dispatchEvent(new CustomEvent("explorer:scores", { detail: { question: this.panel.data.question.id, seq: order.seq } }));
    }
  }

  left() {
    this.hovered = false;
    if (this.held) this.show(this.held);
  }

  show(order) {
    this.held = undefined;
    const { book, data } = this.panel;
    const answered = order.answered ?? 0;
    const said = answered ? `${counting.format(answered)} answered. ` : "";
    this.quality.textContent = said + (order.quality?.sentence ?? "");
    this.items = order.ready ? order.items : [];
    if (!order.ready) this.tell(data.question.classes.length < 2 ? "Add a second answer to this question to begin." : "Give at least one picture to two of the answers, and all the others are sorted here at once.");
    else if (!this.items.length) this.tell("No pictures to sort.");
    else this.tell("");
    this.place();
    this.more.hidden = !order.ready || order.items.length < this.count;
    this.ask.hidden = !order.ready || !data.results;
    this.many.hidden = !this.items.length;
    this.total = order.total ?? this.items.length;
    this.nameMany();
    book.ordered(order.seq);
    this.grid.dataset.seq = String(order.seq);
  }

  chosenClass() {
    return this.panel.data.question.classes.find((each) => each.id === this.chosen);
  }

  nameMany() {
    const name = this.chosenClass()?.name ?? "";
    this.allShown.textContent = `All ${counting.format(this.items.length)} shown are “${name}”`;
    const steps = FIRST.filter((n) => n > this.items.length && n <= this.total);
    const key = JSON.stringify([steps, name]);
    if (this.first.dataset.key === key) return; // an open list must not close under the pointer
    this.first.dataset.key = key;
    const options = steps.map((n) => el("option", { value: String(n), textContent: `The first ${counting.format(n)} are “${name}” …` }));
    this.first.replaceChildren(el("option", { value: "", textContent: "More at once …" }), ...options);
    this.first.hidden = !steps.length;
  }

  /** The pictures on the screen, exactly these, that have no answer yet. */
  answerShown() {
    const { book, told } = this.panel;
    const { id, name } = this.chosenClass();
    const policy = `top:${id}`;
    const open = this.items.filter((item) => !book.of(item)).map((item) => ({ ...item, policy, probability: 1 }));
    if (!open.length) {
      told.say("All of these have an answer already.");
      return;
    }
    const kept = this.items.length - open.length;
    const rest = kept ? ` The ${counting.format(kept)} that have an answer keep it.` : "";
    told.ask(`${pictures(open.length)} get the answer “${name}”.${rest}`, `Answer ${counting.format(open.length)}`, (pressed) => this.panel.giveThese(open, id, pressed));
  }

  /** The first N of the ranking, also those that are not shown: the server says how many that is before it is done. */
  async answerFirst() {
    const n = Number(this.first.value);
    this.first.value = "";
    if (!n) return;
    const { data, told, queue } = this.panel;
    const { id, name } = this.chosenClass();
    const bulk = { of: "top", class: id, n };
    await queue.settled(2000);
    try {
      const found = await this.panel.tryMany(bulk, id);
      if (!found.count) {
        told.say("All of these have an answer already.");
        return;
      }
      const sure = found.least === null || found.least === undefined ? "" : ` The least likely of them is ${(found.least * 100).toFixed(0)} % likely.`;
      const rest = found.left ? ` The ${counting.format(found.left)} that have an answer keep it.` : "";
      const shown = this.items.slice(0, n).map((item) => ({ ...item, policy: `top:${data.question.id}` }));
      told.ask(`${pictures(found.count)} get the answer “${name}”.${sure}${rest}`, `Answer ${counting.format(found.count)}`, (pressed) => this.panel.giveMany(bulk, shown, id, pressed));
    } catch (error) {
      told.say(error.message, { bad: true });
    }
  }

  /** Cards are kept by picture, so that a new order moves them and loads nothing again. */
  place() {
    const focused = deepFocus()?.closest?.(".lr-result")?.dataset.uid;
    const cards = new Map();
    for (const item of this.items) cards.set(item.uid, this.cards.get(item.uid) ?? this.card(item));
    this.cards = cards;
    const nodes = [...cards.values()];
    const same = nodes.length === this.grid.children.length && nodes.every((node, at) => node === this.grid.children[at]);
    if (!same) this.grid.replaceChildren(...nodes);
    if (focused && !same) cards.get(focused)?.firstChild.focus({ preventScroll: true });
    this.paint();
  }

  card(item) {
    const name = item.caption || item.uid;
    const open = el("button", { type: "button", class: "lr-open", title: name }, thumbImage(this.panel.data.dataset, item.hash, name));
    const bar = el("span", { class: "lr-bar" }, el("span", { class: "lr-fill" }));
    const words = el("span", { class: "lr-sure" });
    return el("div", { class: "lr-result", role: "listitem", data: { uid: item.uid } }, open, el("span", { class: "lr-mark" }), el("div", { class: "lr-score" }, bar, words));
  }

  paint() {
    const { book } = this.panel;
    const colour = this.panel.data.question.classes.find((each) => each.id === this.chosen)?.colour ?? "";
    for (const item of this.items) {
      const card = this.cards.get(item.uid);
      if (!card) continue; // the next question's order is on its way
      const [, mark, score] = card.children;
      const answer = book.of(item);
      const look = this.panel.lookOf(answer);
      const p = clamp(item.p ?? 0, 0, 1);
      card.classList.toggle("lr-answered", Boolean(answer));
      card.style.setProperty("--class", look.colour);
      mark.textContent = look.words;
      score.firstChild.firstChild.style.width = `${(p * 100).toFixed(1)}%`;
      score.firstChild.firstChild.style.background = colour;
      const sure = p >= SURE && !item.unlike;
      score.lastChild.textContent = item.unlike ? "new kind" : sure ? "sure" : "not sure";
      score.lastChild.classList.toggle("lr-unsure", !sure);
      card.title = item.unlike ? "Unlike everything you have answered: the guess means little" : `${(p * 100).toFixed(0)} % likely`;
    }
  }

  onClick(event) {
    const uid = event.target.closest?.(".lr-open")?.parentElement.dataset.uid;
    const at = this.items.findIndex((item) => item.uid === uid);
    if (at < 0) return;
    const { data, root } = this.panel;
    openLightbox({ dataset: data.dataset, space: data.space, entries: this.items, at, themeFrom: root, onSimilar: this.panel.onSimilar() });
  }

  /** The picture in focus here, if one is: keys answer it, which is how a wrong one is put right. */
  focusedItem() {
    const uid = deepFocus()?.closest?.(".lr-result")?.dataset.uid;
    return this.items.find((item) => item.uid === uid);
  }

  arrow(event) {
    const at = this.items.indexOf(this.focusedItem());
    const next = gridStep(this.grid, this.items.length, at, event.key);
    if (next < 0) return false;
    this.cards.get(this.items[next].uid).firstChild.focus();
    return true;
  }

  tell(text, bad = false) {
    this.message.hidden = !text;
    this.message.className = `ex-message ${bad ? "ex-bad" : ""}`;
    this.message.textContent = text;
  }

  destroy() {
    clearTimeout(this.waiting);
    this.loading?.abort();
  }
}
