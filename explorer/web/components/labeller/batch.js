// The pictures to answer next: a grid, and the one in focus shown large.

const BATCH = 24;
const FEW = 2; // pictures without an answer below which the next ones are fetched
const SET_SHOWN = 240;
const LONG_PRESS_MS = 450;

class Batch {
  /** `panel` is the Labeller: its data, book and what to do with an answer. */
  constructor(panel) {
    this.panel = panel;
    this.items = [];
    this.cards = [];
    this.at = 0;
    this.selected = new Set();
    this.build();
  }

  build() {
    this.choice = el("select", { class: "lr-select", on: { change: () => this.changePolicy(this.choice.value) } });
    this.choice.setAttribute("aria-label", "Which pictures to answer next");
    this.why = el("p", { class: "ex-quiet lr-why" });
    this.more = el("button", { type: "button", class: "ex-button", on: { click: () => this.load() } }, "Next pictures ", el("kbd", { class: "ex-key", textContent: "N" }));
    this.grid = el("div", { class: "lr-grid", role: "listbox", tabIndex: 0, on: {
      click: (event) => this.onClick(event), pointerdown: (event) => this.onDown(event), contextmenu: (event) => { if (this.pressing) event.preventDefault(); },
      pointerup: () => clearTimeout(this.pressing), pointercancel: () => clearTimeout(this.pressing), pointermove: (event) => this.onMove(event),
    } });
    this.grid.setAttribute("aria-multiselectable", "true");
    this.grid.setAttribute("aria-label", "Pictures to answer");
    this.message = el("div", { class: "ex-message", hidden: true });
    this.image = el("img", { alt: "", draggable: false });
    this.frame = el("button", { type: "button", class: "lr-large", title: "See it over the whole page (Z)", tabIndex: -1, on: { click: () => this.zoom() } }, this.image);
    this.caption = el("div", { class: "lr-caption" });
    this.guess = el("div", { class: "lr-guess ex-quiet" });
    this.all = el("button", { type: "button", class: "ex-button", title: "Select all of these (Ctrl+A)", on: { click: () => this.selectAll() } }, "Select all");
    this.selection = el("div", { class: "lr-selection", hidden: true });
    this.large = el("div", { class: "lr-focus" }, this.frame, this.caption, this.guess);
    const head = el("div", { class: "lr-head" }, el("label", { class: "lr-next" }, el("span", { class: "ex-quiet", textContent: "Next" }), this.choice),
      el("span", { class: "lr-buttons" }, this.all, this.more));
    this.side = el("div", { class: "lr-batch" }, head, this.why, this.selection, this.grid, this.message);
    this.node = el("div", { class: "lr-work" }, this.large, this.side);
  }

  /** `set`: {id, title} of a group or selection to answer; it is the first choice as long as it is there. */
  setPolicies(policies, policy, set) {
    this.policies = set ? [{ id: SET, title: set.title, why: "" }, ...policies] : policies;
    this.choice.replaceChildren(...this.policies.map((each) => el("option", { value: each.id, textContent: each.title, title: each.why })));
    const wanted = set ? SET : policy;
    this.policy = this.policies.some((each) => each.id === wanted) ? wanted : this.policies[0]?.id ?? policy;
    this.choice.value = this.policy;
    this.showWhy();
  }

  changePolicy(policy) {
    this.policy = policy;
    this.choice.value = policy;
    this.showWhy();
    this.load();
    this.grid.focus({ preventScroll: true });
    this.panel.policyChanged(policy);
  }

  showWhy(text) {
    this.why.textContent = text || this.policies.find((each) => each.id === this.policy)?.why || "";
  }

  /** Fresh pictures, once the answers under way have arrived: they decide which are worth asking about. */
  async load() {
    const asked = (this.asked = {});
    const { data, queue } = this.panel;
    const set = this.policy === SET ? data.set?.id : undefined;
    if (!this.items.length) this.tell("Choosing pictures…", { busy: true });
    this.busy(true);
    await queue.settled(2000);
    try {
      const batch = await getJson(address(data.dataset, "batch.json", this.query(set)));
      if (this.asked !== asked) return;
      this.busy(false);
      this.set = batch.set;
      this.showWhy(batch.set ? setWords(batch.set) : batch.why);
      this.show(batch.items);
      if (!batch.items.length) this.empty(batch.held);
    } catch (error) {
      if (this.asked !== asked) return;
      this.busy(false);
      this.waiting = false;
      const away = set && (error.status === 404 || error.status === 400);
      this.tell(error.message, { bad: true, again: away ? () => this.changePolicy("useful") : () => this.load(), words: away ? "Show the most useful ones" : undefined });
    }
  }

  /** Of the useful ones the server sends as many as are best chosen at once: few at first. */
  query(set) {
    const { data } = this.panel;
    const query = { question: data.question.id, space: data.space, f: data.filter || undefined };
    if (set) return { ...query, n: SET_SHOWN, set };
    return { ...query, n: this.policy === "useful" ? undefined : BATCH, policy: this.policy };
  }

  /** The next ones before the last of these is answered: whoever is quick neither waits nor answers one twice. */
  async refill(open) {
    if (this.refilling || this.policy === SET) return;
    const asked = this.asked;
    this.refilling = true;
    const without = JSON.stringify(open.map((item) => item.uid));
    const query = { ...this.query(), without };
    // without an answer to this, the pictures are asked for again when the last one is answered
    const fresh = await getJson(address(this.panel.data.dataset, "batch.json", query)).catch(() => undefined);
    this.refilling = false;
    if (this.asked !== asked) return;
    if (fresh?.items.length) this.append(fresh);
    else if (this.waiting) this.load();
  }

  append({ items, why }) {
    const here = new Set(this.items.map((item) => item.uid));
    const added = items.filter((item) => !here.has(item.uid) && !this.panel.book.of(item));
    const kept = this.items.map((item, place) => ({ item, card: this.cards[place] }));
    for (let more = kept.length + added.length - BATCH; more > 0 && this.panel.book.of(kept[0].item); more--) {
      kept.shift();
      this.at--;
    }
    const all = [...kept, ...added.map((item) => ({ item, card: this.card(item, 0) }))];
    all.forEach(({ card }, place) => Object.assign(card, { id: `lr-option-${place}` }).dataset.place = String(place));
    this.items = all.map((each) => each.item);
    this.cards = all.map((each) => each.card);
    this.grid.replaceChildren(...this.cards);
    this.showWhy(why);
    this.at = Math.max(0, this.at);
    if (this.waiting) this.advance();
    else this.paint();
  }

  busy(on) {
    this.more.disabled = on;
    this.grid.setAttribute("aria-busy", String(on));
  }

  empty(held = 0) {
    const others = held === 1 ? "The last picture is" : `The last ${counting.format(held)} are`;
    if (held) this.tell(`${others} being answered by somebody else at this moment.`, { again: () => this.load(), words: "Look again" });
    else if (this.set) this.tell("Every picture of these has an answer.", { again: () => this.changePolicy("useful"), words: "Go on with the most useful ones" });
    else this.tell("Every picture here has an answer. Choose other pictures above, or look at the sorted ones below.");
  }

  show(items) {
    // whoever came here by a link in the menu wants to answer: the keys are taken over once, though never from a field
    const fields = /^(INPUT|TEXTAREA|SELECT)$/;
    const focused = this.grid.contains(deepFocus()) || (!this.welcomed && !fields.test(deepFocus()?.tagName) && !PAGE.lightbox);
    this.welcomed = true;
    this.items = items;
    this.waiting = false;
    this.clearSelection();
    this.tell("");
    this.cards = items.map((item, place) => this.card(item, place));
    this.grid.replaceChildren(...this.cards);
    this.grid.hidden = this.large.hidden = items.length === 0;
    this.focus(Math.max(0, items.findIndex((item) => this.isOpen(item))));
    this.paint();
    if (focused) this.grid.focus({ preventScroll: true });
  }

  /** Whether a picture waits for an answer: not from here yet, and not from others since it was handed out. */
  isOpen(item) {
    return !this.panel.book.of(item) && !this.isOthers(item);
  }

  isOthers(item) {
    return !item.again && this.panel.news.done.has(item.uid) && !this.panel.book.of(item);
  }

  /** Others have answered some of these: they are no longer asked, and nothing moves under a hand that is answering. */
  leftToOthers() {
    this.paint();
    const open = this.items.filter((item) => this.isOpen(item));
    if (open.length <= FEW && this.items.length) this.refill(open);
  }

  card(item, place) {
    const image = thumbImage(this.panel.data.dataset, item.hash, item.caption);
    const mark = el("span", { class: "lr-mark" });
    return el("div", { class: "lr-card", role: "option", id: `lr-option-${place}`, title: item.caption, data: { place: String(place), uid: item.uid } }, image, mark);
  }

  tell(text, { bad = false, busy = false, again, words = "Try again" } = {}) {
    this.message.hidden = !text;
    this.message.className = `ex-message ${bad ? "ex-bad" : ""}`;
    this.message.replaceChildren(...(busy ? [el("div", { class: "ex-spinner" })] : []), el("div", { textContent: text }));
    if (again) this.message.append(el("button", { type: "button", class: "ex-button", textContent: words, on: { click: again } }));
  }

  paint() {
    this.cards.forEach((card, place) => {
      const item = this.items[place];
      const answer = this.panel.book.of(item);
      const draft = this.panel.drafts.get(item.uid);
      const look = draft ? this.panel.lookOf({ value: "yes", class_ids: [...draft] }) : this.panel.lookOf(answer);
      const agrees = answer && !draft ? this.panel.agrees(item, answer) : undefined;
      card.classList.toggle("lr-answered", Boolean(answer) && !draft);
      card.classList.toggle("lr-draft", Boolean(draft));
      card.classList.toggle("lr-differs", agrees === false);
      card.classList.toggle("lr-others-did", this.isOthers(item));
      card.style.setProperty("--class", look.colour);
      card.lastChild.textContent = this.isOthers(item) ? "by others" : look.words;
      card.classList.toggle("lr-chosen", this.selected.has(place));
      card.setAttribute("aria-selected", String(this.selected.has(place)));
    });
    this.showSelection();
    this.panel.showMarks();
  }

  showSelection() {
    const many = this.whole ? this.set.open : this.selected.size;
    this.selection.hidden = many === 0;
    if (!many) return;
    const shown = this.whole && this.set.open > this.items.length ? ` (${counting.format(this.items.length)} of them are shown)` : "";
    this.selection.replaceChildren(
      el("span", { textContent: `${pictures(many)} selected${shown}: the next answer is for all of them.` }),
      el("button", { type: "button", class: "lr-link", textContent: "Select none (Esc)", on: { click: () => { this.clearSelection(); this.paint(); } } }));
  }

  clearSelection() {
    this.selected.clear();
    this.whole = false;
  }

  /** All pictures without an answer; of a set also those that are not shown. */
  selectAll() {
    this.items.forEach((item, place) => { if (this.isOpen(item)) this.selected.add(place); });
    this.whole = Boolean(this.set) && this.set.open > this.items.length;
    this.paint();
    this.grid.focus({ preventScroll: true });
  }

  focus(place) {
    this.cards[this.at]?.classList.remove("lr-at");
    this.at = clamp(place, 0, Math.max(0, this.items.length - 1));
    const card = this.cards[this.at];
    const item = this.items[this.at];
    if (!card) return;
    card.classList.add("lr-at");
    this.grid.setAttribute("aria-activedescendant", card.id);
    const { top, bottom } = card.getBoundingClientRect();
    const beside = this.large.offsetTop === this.side.offsetTop; // else scrolling would hide the large one above
    if (beside && (top < 0 || bottom > window.innerHeight)) card.scrollIntoView({ block: "nearest" });
    this.showLarge(item);
  }

  showLarge(item) {
    const { data } = this.panel;
    if (this.shown === item.uid) return;
    this.shown = item.uid;
    this.panel.showMarks();
    this.caption.textContent = item.caption || item.uid;
    this.image.alt = item.caption || "picture";
    if (item.hash) this.image.src = thumbAddress(data.dataset, item.hash);
    const guess = data.showGuess ? this.panel.guessOf(item) : undefined;
    this.guess.textContent = item.said?.join(" · ") ?? (guess ? `Guess: ${guess.words}` : "");
    clearTimeout(this.sharpening);
    this.sharpening = setTimeout(() => this.sharpen(item), 160); // who answers quickly needs the small one only
  }

  sharpen(item) {
    const large = new Image();
    large.src = address(this.panel.data.dataset, "full.jpg", { uid: item.uid });
    large.onload = () => {
      if (this.shown === item.uid) this.image.src = large.src;
    };
  }

  onClick(event) {
    const place = Number(event.target.closest?.(".lr-card")?.dataset.place ?? -1);
    if (place < 0 || this.longPressed) {
      this.longPressed = false;
      return;
    }
    const tap = event.pointerType === "touch" && this.selected.size > 0; // once one is held, taps add to it
    if (event.shiftKey) this.extend(place);
    else if (event.ctrlKey || event.metaKey || tap) this.toggle(place);
    this.focus(place);
    this.paint();
  }

  /** A finger that stays selects. */
  onDown(event) {
    clearTimeout(this.pressing);
    this.pressing = undefined;
    this.longPressed = false;
    const place = Number(event.target.closest?.(".lr-card")?.dataset.place ?? -1);
    if (event.pointerType !== "touch" || place < 0) return;
    this.downAt = [event.clientX, event.clientY];
    this.pressing = setTimeout(() => {
      this.longPressed = true;
      this.focus(place);
      this.toggle(place);
    }, LONG_PRESS_MS);
  }

  onMove(event) {
    if (!this.pressing || !this.downAt) return;
    if (Math.hypot(event.clientX - this.downAt[0], event.clientY - this.downAt[1]) > 12) clearTimeout(this.pressing);
  }

  toggle(place = this.at) {
    if (!this.selected.delete(place)) this.selected.add(place);
    this.whole = false;
    this.paint();
  }

  extend(place) {
    for (let each = Math.min(this.at, place); each <= Math.max(this.at, place); each++) this.selected.add(each);
    this.paint();
  }

  arrow(event) {
    const next = gridStep(this.grid, this.items.length, this.at, event.key);
    if (next < 0) return false;
    if (event.shiftKey) this.extend(next);
    this.focus(next);
    return true;
  }

  /** The pictures that an answer is for: the selected ones, else the one in focus. */
  targets() {
    const places = this.selected.size ? [...this.selected].sort((a, b) => a - b) : [this.at];
    return places.map((place) => this.items[place]).filter(Boolean);
  }

  /** After an answer: on to the next picture without one, or to new pictures when there is none. */
  advance() {
    this.clearSelection();
    const open = this.items.filter((item) => this.isOpen(item));
    if (open.length <= FEW) this.refill(open);
    this.waiting = !open.length; // the one in focus has its answer: another press must not give it a second
    for (let by = 1; by <= this.items.length && open.length; by++) {
      const place = (this.at + by) % this.items.length;
      if (open.includes(this.items[place])) {
        this.focus(place);
        break;
      }
    }
    this.paint();
    if (this.waiting && !this.refilling) this.load();
  }

  /** Show a picture whose answer was taken back, wherever it had gone. */
  bring(item) {
    const place = this.items.findIndex((each) => each.uid === item.uid);
    if (place >= 0) {
      this.focus(place);
      this.paint();
      return;
    }
    this.show([item, ...this.items].slice(0, Math.max(BATCH, this.items.length)));
    this.focus(0);
  }

  zoom() {
    const { data, root } = this.panel;
    if (!this.items.length) return;
    openLightbox({
      dataset: data.dataset, space: data.space, entries: this.items, at: this.at, themeFrom: root,
      onSimilar: this.panel.onSimilar(), onMove: (place) => { this.focus(place); },
    });
  }
}

const SET = "set";

function setWords(set) {
  const answered = set.total - set.open;
  if (set.again === "*") return `${set.words}: ${pictures(set.open)} to decide. What you answer here holds, whatever the others say.`;
  if (set.again) return `${set.words}: ${pictures(set.open)}, asked again. The answer from before stays until there is a new one.`;
  const words = set.words.includes(counting.format(set.total)) ? set.words : `${set.words}: ${pictures(set.total)}`;
  return answered ? `${words}. ${counting.format(answered)} of them ${answered === 1 ? "has" : "have"} an answer, which stays.` : `${words}, none with an answer yet.`;
}
