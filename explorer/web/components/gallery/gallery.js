// A grid of pictures: click or Enter opens, arrows move, a tick in the corner or space selects.

const SIZE_KEY = "explorer.gallery.size";
const galleries = new WeakMap();

class Gallery {
  constructor(root) {
    this.root = root;
    this.items = [];
    this.cards = [];
    this.chosen = new Set();
    this.at = 0;
    this.anchor = 0;
    this.build();
  }

  build() {
    this.count = el("span", { class: "ex-quiet gl-count", role: "status" });
    this.all = el("button", { type: "button", class: "ex-button", textContent: "Select all", on: { click: () => this.selectAll() } });
    this.none = el("button", { type: "button", class: "ex-button", textContent: "Select none", on: { click: () => this.setChosen(new Set()) } });
    this.slider = el("input", { type: "range", min: "72", max: "320", step: "4", on: {
      input: () => this.resize(Number(this.slider.value)),
      change: () => remember(SIZE_KEY, this.slider.value),
    } });
    this.slider.setAttribute("aria-label", "Size of the pictures");
    const size = el("label", { class: "gl-size" }, "Size", this.slider);
    this.bar = el("div", { class: "gl-bar" }, this.count, this.all, this.none, size);
    this.grid = el("div", { class: "gl-grid", role: "list", on: {
      click: (event) => this.onClick(event), keydown: (event) => this.onKey(event), focusin: (event) => this.onFocus(event),
    } });
    this.empty = el("div", { class: "ex-message", hidden: true });
    this.pager = new Pager((first) => this.turn(first));
    this.root.replaceChildren(this.bar, this.grid, this.pager.node, this.empty);
  }

  update({ data, setTriggerValue }) {
    this.data = data;
    this.trigger = setTriggerValue;
    if (!this.sized) {
      this.sized = true;
      this.resize((data.controls && Number(recall(SIZE_KEY))) || data.size);
    }
    const look = JSON.stringify([data.dataset, data.items, data.selectable, data.more]);
    if (look !== this.look) {
      this.look = look;
      this.asking = undefined;
      this.pager.show(0, data.items.length, data.more?.total ?? 0);
      this.fill(data.items);
    }
    const asked = JSON.stringify(data.selected);
    if (asked !== this.asked) {
      this.asked = asked;
      // an echo of an earlier choice must not undo a later one
      const settled = !this.telling && (!this.told || asked === this.told || performance.now() - this.toldAt > 5000);
      if (settled) this.chosen = new Set(data.selected);
    }
    this.paint();
  }

  fill(items) {
    const focused = this.grid.contains(deepFocus());
    const uid = this.items[this.at]?.uid;
    this.items = items;
    this.at = Math.max(0, items.findIndex((item) => item.uid === uid));
    this.anchor = this.at;
    const known = new Set(items.map((item) => item.uid));
    this.chosen = new Set([...this.chosen].filter((each) => known.has(each)));
    this.cards = items.map((item, place) => this.card(item, place));
    this.grid.replaceChildren(...this.cards);
    this.bar.hidden = items.length === 0 || !this.data.controls;
    this.empty.hidden = items.length > 0;
    this.empty.textContent = this.data.empty;
    if (focused) this.focusCard(this.at);
  }

  /** Another page of the gallery; the pictures stay until the next ones are there. */
  async turn(first) {
    const { dataset, space, items, more } = this.data;
    const asked = (this.asking = {});
    this.pager.wait();
    try {
      const query = { space, of: more.of, f: more.f || undefined, offset: first, n: items.length };
      const found = first === 0 ? { items, total: more.total } : await getJson(address(dataset, "page.json", query));
      if (this.asking !== asked) return;
      this.pager.show(first, items.length, found.total);
      this.at = 0;
      this.fill(found.items);
      this.paint();
      this.root.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
    } catch (error) {
      if (this.asking === asked) this.pager.fail(error.message);
    }
  }

  card(item, place) {
    const frame = el("span", { class: "gl-frame" }, thumbImage(this.data.dataset, item.hash, item.caption));
    const words = el("span", { class: "gl-words" }, el("span", { textContent: item.caption || item.uid }));
    if (item.note) words.append(el("span", { class: "gl-note", textContent: item.note, title: item.note }));
    const open = el("button", { type: "button", class: "gl-open", tabIndex: place === this.at ? 0 : -1, title: item.caption }, frame, words);
    const card = el("div", { class: "gl-card", role: "listitem", data: { uid: item.uid, place: String(place) } }, open);
    if (item.badge) card.append(el("span", { class: "gl-badge", textContent: item.badge }));
    if (this.data.selectable) {
      const tick = el("button", { type: "button", class: "gl-tick", tabIndex: -1 }, icon("check"));
      tick.setAttribute("aria-label", `Select ${item.caption || item.uid}`);
      card.append(tick);
    }
    return card;
  }

  resize(size) {
    const wanted = clamp(size || 150, 72, 320);
    this.slider.value = String(wanted);
    this.grid.style.setProperty("--size", `${wanted}px`);
    this.grid.classList.toggle("gl-small", wanted < 120);
    this.grid.classList.toggle("gl-tiny", wanted < 90);
  }

  paint() {
    const chosen = this.data.selectable ? this.chosen : new Set();
    this.cards.forEach((card, place) => {
      const is = chosen.has(this.items[place].uid);
      card.classList.toggle("gl-chosen", is);
      card.querySelector(".gl-tick")?.setAttribute("aria-pressed", String(is));
    });
    this.grid.classList.toggle("gl-choosing", chosen.size > 0);
    this.all.hidden = !this.data.selectable || chosen.size === this.items.length;
    this.none.hidden = chosen.size === 0;
    this.count.textContent = chosen.size ? `${counting.format(chosen.size)} of ${pictures(this.items.length)} selected` : pictures(this.items.length);
  }

  placeOf(event) {
    return Number(event.target.closest?.(".gl-card")?.dataset.place ?? -1);
  }

  onClick(event) {
    const place = this.placeOf(event);
    if (place < 0) return;
    if (this.data.selectable && event.shiftKey) this.selectRange(place);
    else if (event.target.closest(".gl-tick")) this.toggle(place);
    else if (this.data.selectable && (event.ctrlKey || event.metaKey)) this.toggle(place);
    else this.open(place);
  }

  onFocus(event) {
    const place = this.placeOf(event);
    if (place >= 0) this.rove(place);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = gridStep(this.grid, this.items.length, this.at, event.key);
    if (next >= 0) {
      if (event.shiftKey && this.data.selectable) this.selectRange(next);
      this.focusCard(next);
    } else if (event.key === " " && this.data.selectable) {
      if (event.shiftKey) this.selectRange(this.at);
      else this.toggle(this.at);
    } else if (event.key === "Enter" && !event.target.closest(".gl-tick")) {
      this.open(this.at);
    } else {
      if (event.key.length === 1) event.stopPropagation(); // Streamlit's own r and c stay asleep
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  rove(place) {
    this.cards[this.at]?.querySelector(".gl-open").setAttribute("tabindex", "-1");
    this.at = place;
    this.cards[place]?.querySelector(".gl-open").setAttribute("tabindex", "0");
  }

  focusCard(place) {
    this.rove(place);
    this.cards[place]?.querySelector(".gl-open").focus();
  }

  open(place) {
    openLightbox({
      dataset: this.data.dataset, space: this.data.space, entries: this.items, at: place, themeFrom: this.root,
      onSimilar: this.data.similar ? (uid) => this.trigger("similar", { uid }) : undefined,
      onMove: (next) => this.cards[next]?.querySelector(".gl-open"),
    });
  }

  toggle(place) {
    const next = new Set(this.chosen);
    const uid = this.items[place].uid;
    if (!next.delete(uid)) next.add(uid);
    this.anchor = place;
    this.setChosen(next);
  }

  selectRange(place) {
    const next = new Set(this.chosen);
    const [from, to] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
    for (let each = from; each <= to; each++) next.add(this.items[each].uid);
    this.setChosen(next);
  }

  selectAll() {
    this.setChosen(new Set(this.items.map((item) => item.uid)));
  }

  /** Python hears of a selection once it has settled: a run of the page costs more than a tick. */
  setChosen(chosen) {
    this.chosen = chosen;
    this.paint();
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      this.telling = undefined;
      const uids = this.items.map((item) => item.uid).filter((uid) => this.chosen.has(uid));
      this.told = JSON.stringify(uids);
      this.toldAt = performance.now();
      this.trigger("select", { uids });
    }, 350);
  }

  destroy() {
    clearTimeout(this.telling);
  }
}

/** Where in a long gallery one is: "241–480 of 69,422", and the ways on. `turn(first)` asks for another page. */
class Pager {
  constructor(turn) {
    const step = (shape, label, to) => iconButton(shape, label, "", () => turn(to()));
    this.size = this.first = this.total = 0;
    this.words = el("span", { role: "status", class: "ex-quiet" });
    this.back = step("previous", "The pictures before", () => Math.max(0, this.first - this.size));
    this.on = step("next", "The pictures after", () => this.first + this.size);
    this.place = el("input", { type: "number", min: "1", class: "gl-page", on: {
      change: () => turn((clamp(Math.round(Number(this.place.value)) || 1, 1, this.pages) - 1) * this.size),
      keydown: (event) => event.stopPropagation(),
    } });
    this.place.setAttribute("aria-label", "Page");
    this.last = el("span", { class: "ex-quiet" });
    this.node = el("nav", { class: "gl-pager", hidden: true }, this.back, el("label", {}, "Page", this.place, this.last), this.on, this.words);
    this.node.setAttribute("aria-label", "Pages of this gallery");
  }

  get pages() {
    return Math.max(1, Math.ceil(this.total / Math.max(this.size, 1)));
  }

  show(first, size, total) {
    Object.assign(this, { first, size, total });
    this.node.hidden = total <= size;
    this.place.value = String(Math.floor(first / Math.max(size, 1)) + 1);
    this.place.max = String(this.pages);
    this.last.textContent = `of ${counting.format(this.pages)}`;
    this.back.disabled = first <= 0;
    this.on.disabled = first + size >= total;
    this.words.textContent = `${counting.format(first + 1)}–${counting.format(Math.min(first + size, total))} of ${pictures(total)}`;
  }

  wait() {
    this.words.textContent = "Fetching…";
  }

  fail(message) {
    this.show(this.first, this.size, this.total);
    this.words.textContent = message;
  }
}

export default function (component) {
  return mountOnce(galleries, component, (root) => new Gallery(root));
}
