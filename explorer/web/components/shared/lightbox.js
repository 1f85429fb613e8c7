// One picture over the whole page: large, with its columns and the pictures like it.
// It hangs on document.body in a shadow root of its own, because components live in narrow containers.

/**
 * Open it. `entries` is the list the picture came from: [{uid} or {row, gen}, each with hash? and caption?], `at` the
 * place in it. `onSimilar(uid)`, if given, is what "Pictures like this" does. Focus returns to where it was,
 * or to the element that `onMove(place)` gave for the picture shown last.
 */
function openLightbox({ dataset, space, entries, at, themeFrom, onSimilar, onMove }) {
  PAGE.lightbox?.close();
  const box = new Lightbox({ dataset, space, entries, at, themeFrom, onSimilar, onMove });
  copyTheme(themeFrom, box.host);
  PAGE.lightbox = box;
  box.open();
  return box;
}

const MOST_ENLARGED = 2.5; // a stamp blown up to the whole screen is only blur

class Lightbox {
  constructor(options) {
    Object.assign(this, options);
    this.trail = [];
    this.host = el("div", { class: "explorer-lightbox" });
    const shadow = this.host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(LIGHTBOX_CSS);
    shadow.adoptedStyleSheets = [sheet];
    this.build();
    shadow.append(this.dialog);
  }

  build() {
    this.image = el("img", { class: "lb-image", alt: "", draggable: false, on: { click: () => this.toggleSize() } });
    this.place = el("span", { class: "lb-place ex-quiet" });
    this.stage = el("div", { class: "lb-stage" }, this.image);
    this.caption = el("h2", { id: "lb-caption" });
    this.note = el("p", { class: "ex-quiet lb-note" });
    this.table = el("dl", { class: "lb-columns" });
    this.strip = el("div", { class: "lb-strip" });
    this.like = el("h3", { textContent: "Pictures like this" });
    this.backwards = iconButton("previous", "Previous picture", "", () => this.step(-1), "lb-arrow lb-previous");
    this.forwards = iconButton("next", "Next picture", "", () => this.step(1), "lb-arrow lb-next");
    this.returning = iconButton("back", "Back to the picture before", "Back", () => this.goBack());
    this.similar = iconButton("similar", "Show pictures like this one", "Pictures like this", () => this.askSimilar());
    this.original = el("a", { class: "ex-button", title: "Download the original file" }, icon("download"), "Original");
    const closing = iconButton("close", "Close", "", () => this.close(), "lb-close");
    const actions = el("div", { class: "lb-actions" }, this.similar, this.original, this.returning);
    const side = el("div", { class: "lb-side" }, closing, this.caption, this.note, actions, this.table, this.like, this.strip);
    const stage = el("div", { class: "lb-left" }, this.stage, this.backwards, this.forwards, this.place);
    this.dialog = el("dialog", { class: "ex-theme lb", tabIndex: -1, aria: { labelledby: "lb-caption", modal: "true" } }, stage, side);
    this.dialog.addEventListener("keydown", (event) => this.onKey(event));
    this.dialog.addEventListener("keyup", (event) => event.stopPropagation());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener("pointerdown", (event) => {
      if (event.target === this.dialog) this.close();
    });
  }

  open() {
    this.focusBefore = deepFocus();
    document.body.append(this.host);
    this.dialog.showModal();
    this.dialog.focus();
    this.show(this.entries[this.at]);
  }

  close() {
    if (PAGE.lightbox === this) PAGE.lightbox = undefined;
    this.loading?.abort();
    this.host.remove();
    this.focusBefore?.focus?.({ preventScroll: true });
  }

  onKey(event) {
    event.stopPropagation(); // the page's and Streamlit's own shortcuts stay asleep
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "ArrowRight") this.step(1);
    else if (event.key === "Backspace") this.goBack();
    else if (event.key === "z") this.toggleSize();
    else if (event.key !== "Escape") return;
    else this.close();
    event.preventDefault();
  }

  step(by) {
    const next = this.at + by;
    if (next < 0 || next >= this.entries.length) return;
    this.at = next;
    this.trail = [];
    this.focusBefore = this.onMove?.(next) ?? this.focusBefore;
    this.show(this.entries[next]);
  }

  visit(entry) {
    this.trail.push(this.shown);
    this.show(entry);
  }

  goBack() {
    const before = this.trail.pop();
    if (before) this.show(before);
  }

  askSimilar() {
    const uid = this.details?.uid ?? this.shown.uid;
    if (uid === undefined) return;
    this.close();
    this.onSimilar?.(uid);
  }

  toggleSize() {
    this.stage.classList.toggle("lb-actual");
  }

  async show(entry) {
    this.shown = entry;
    this.details = undefined;
    this.loading?.abort();
    this.loading = new AbortController();
    this.stage.classList.remove("lb-actual");
    this.caption.textContent = entry.caption || "…";
    this.setNote("");
    this.table.replaceChildren();
    this.strip.replaceChildren();
    this.like.hidden = true;
    const inList = this.entries[this.at] === entry;
    this.place.textContent = inList && this.entries.length > 1 ? `${this.at + 1} of ${counting.format(this.entries.length)}` : "";
    this.backwards.hidden = this.forwards.hidden = this.entries.length < 2;
    this.backwards.disabled = this.at === 0;
    this.forwards.disabled = this.at === this.entries.length - 1;
    this.returning.hidden = this.trail.length === 0;
    this.similar.hidden = !this.onSimilar;
    const focused = this.host.shadowRoot.activeElement;
    if (!focused || focused.disabled || focused.hidden) this.dialog.focus(); // what was pressed may be gone; keys go on
    this.image.classList.add("lb-waiting");
    this.image.style.maxWidth = this.image.style.maxHeight = "";
    if (entry.hash) this.image.src = thumbAddress(this.dataset, entry.hash);
    else this.image.removeAttribute("src");
    if (entry.uid !== undefined) this.loadLarge(entry);
    try {
      const which = entry.uid !== undefined ? { uid: entry.uid } : { row: entry.row, gen: entry.gen };
      const details = await getDetails(this.dataset, this.space, which, this.loading.signal);
      if (this.shown !== entry) return;
      this.details = details;
      if (entry.uid === undefined) this.loadLarge({ ...entry, uid: details.uid }, entry);
      this.fill(details);
    } catch (error) {
      if (error.name !== "AbortError" && this.shown === entry) this.setNote(error.message, true);
    }
  }

  /** The large view replaces the small one once it has arrived, so that nothing flashes. */
  loadLarge(entry, shownAs = entry) {
    const large = new Image();
    const source = address(this.dataset, "full.jpg", { uid: entry.uid });
    const original = address(this.dataset, "original", { uid: entry.uid }); // none in a copy without a server
    this.original.hidden = !original;
    this.original.href = original;
    this.original.download = "";
    large.onload = () => {
      if (this.shown !== shownAs) return;
      this.image.src = source;
      this.image.style.maxWidth = `${large.naturalWidth * MOST_ENLARGED}px`;
      this.image.style.maxHeight = `${large.naturalHeight * MOST_ENLARGED}px`;
      this.image.classList.remove("lb-waiting");
    };
    large.onerror = () => {
      if (this.shown !== shownAs) return;
      this.image.classList.remove("lb-waiting");
      this.setNote("The large picture could not be loaded; this is the small one.", true);
    };
    large.src = source;
  }

  setNote(text, bad = false) {
    this.note.textContent = text;
    this.note.classList.toggle("ex-bad", bad);
    this.note.hidden = !text;
  }

  fill(details) {
    this.caption.textContent = details.caption || details.uid;
    this.image.alt = details.caption || details.uid;
    if (details.problem) this.setNote(details.problem, true);
    const columns = details.columns ?? [];
    this.table.replaceChildren(...columns.flatMap(([name, value]) => [
      el("dt", { textContent: name, title: name }), el("dd", { textContent: value === null ? "" : String(value) }),
    ]));
    const neighbours = details.neighbours ?? [];
    this.like.hidden = neighbours.length === 0;
    this.strip.replaceChildren(...neighbours.map((near) => {
      const button = el("button", { type: "button", class: "lb-near", title: near.caption, on: { click: () => this.visit(near) } },
        thumbImage(this.dataset, near.hash, near.caption));
      button.setAttribute("aria-label", `Go to ${near.caption || "this picture"}`);
      return button;
    }));
  }
}

function deepFocus() {
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  return focused;
}
