// Selecting on the map: the lasso, what is chosen, the keys, and the words about it.

const ECHO_MS = 10000;

const Selecting = {
  setLasso(on) {
    this.lassoOn = on;
    this.lassoButton.setAttribute("aria-pressed", String(on));
    this.surface.classList.toggle("mp-drawing", on);
    this.card.hide();
    this.say(on ? "Draw around the pictures you want" : "");
  },

  setThumbs(on) {
    this.thumbs.on = on;
    this.thumbsButton.setAttribute("aria-pressed", String(on));
    if (this.points) this.settle();
  },

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const step = 60;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const onSurface = event.target === this.surface;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (onSurface && key in moves) {
      this.view.panBy(...moves[key]);
      this.moving();
    } else if (key === "+" || key === "=") this.glide(1.8);
    else if (key === "-") this.glide(1 / 1.8);
    else if (key === "Enter" && onSurface) this.openMiddle();
    else if (key === "0") this.goHome();
    else if (key === "l" && this.data.lasso) this.setLasso(!this.lassoOn);
    else if (key === "p") this.setThumbs(!this.thumbs.on);
    else if (key === "Escape" && (this.lassoOn || this.points?.chosen)) {
      if (this.points?.chosen) this.clear();
      this.setLasso(false);
    } else {
      if (event.key.length === 1) event.stopPropagation(); // Streamlit's own r and c stay asleep
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  },

  lasso(path, done) {
    const context = this.outline.getContext("2d");
    const ratio = this.outline.width / this.view.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.view.width, this.view.height);
    if (!path || !this.points) return;
    if (done) {
      this.choose(path);
      return;
    }
    this.card.hide();
    const accent = getComputedStyle(this.root).getPropertyValue("--st-primary-color").trim() || "#0f766e";
    context.beginPath();
    for (const [x, y] of path) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = context.strokeStyle = accent;
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.8;
    context.setLineDash([5, 4]);
    context.stroke();
    context.setLineDash([]);
  },

  /** The polygon that is sent is the one that is counted here, so that server and screen agree to the picture. */
  choose(path) {
    const decimals = clamp(Math.ceil(Math.log10(this.view.k)) + 1, 3, 8);
    const polygon = simplifyPolygon(path.map(([x, y]) => this.view.toMap(x, y)), decimals);
    const began = performance.now();
    const count = this.points.choose(polygon);
    this.surface.dataset.lassoMs = (performance.now() - began).toFixed(1);
    this.surface.dataset.chosen = String(count);
    this.setLasso(false);
    this.showChosen();
    if (!count) {
      this.say("No pictures inside; draw around some dots");
      this.sendClear();
      return;
    }
    const codes = this.legend.hiddenCodes();
    this.tellServer("lasso", { polygon, count, by: this.data.colour.by, hidden: this.legend.hiddenLabels(), hidden_codes: codes });
  },

  clear() {
    this.points.chooseNone();
    this.surface.dataset.chosen = "0";
    this.showChosen();
    this.sendClear();
  },

  sendClear() {
    this.tellServer("clear", {});
  },

  tellServer(name, value) {
    this.sent = Math.max(Date.now(), (this.sent ?? 0) + 1);
    this.sentAt = performance.now();
    this.trigger(name, { ...value, at: this.sent });
  },

  /** What the server says is selected, unless it has not heard yet what was done here last; not waited for for ever. */
  takeSelection(fresh = false) {
    const { selection, heard } = this.data;
    const signature = JSON.stringify([selection ?? null, heard ?? null]);
    if (signature === this.selected && !fresh) return;
    this.selected = signature;
    clearTimeout(this.echo);
    const wait = this.sent && heard !== this.sent ? ECHO_MS - (performance.now() - this.sentAt) : 0;
    if (wait > 0 && !fresh) {
      this.echo = setTimeout(() => this.points && this.takeSelection(true), wait);
      return;
    }
    if (!selection) this.points.chooseNone();
    else if (selection.polygon) this.points.choose(selection.polygon);
    else if (selection.bits) this.points.chooseRows(rowsOfBits(selection.bits));
    else this.points.chooseRows(selection.rows);
    this.surface.dataset.chosen = String(this.points.chosenCount);
    this.showChosen();
  },

  showChosen() {
    this.renderer.setChosen();
    this.tell();
    this.settle();
  },

  /** The line at the bottom: how many, and whether something is selected or hidden. */
  tell() {
    const { points } = this;
    const shown = points.counts().reduce((sum, count, code) => sum + (points.off[code] ? 0 : count), 0);
    const chosen = points.chosenCount;
    let words = `${pictures(shown)}${shown < points.present ? ` of ${counting.format(points.present)}` : ""}`;
    if (chosen) words = `${pictures(chosen)} selected`;
    if (this.renderer.kind === "plain") words += " · drawn without the graphics card, large maps move slowly";
    this.words.textContent = words;
    this.clearButton.hidden = !chosen;
    this.status.classList.toggle("mp-strong", chosen > 0);
    const help = "Arrow keys move, plus and minus zoom, 0 shows everything, L selects by drawing, Enter opens the picture nearest to the middle.";
    this.surface.setAttribute("aria-label", `Map of ${pictures(points.present)}. ${help}`);
  },

  say(text) {
    clearTimeout(this.saying);
    this.hint.textContent = text;
    this.hint.hidden = !text;
    if (text && !this.lassoOn) this.saying = setTimeout(() => this.say(""), 3500);
  },

  cover(text, { bad = false, busy = false, again } = {}) {
    this.over.hidden = !text;
    const message = el("div", { class: `ex-message ${bad ? "ex-bad" : ""}`, role: bad ? "alert" : "status" });
    if (busy) message.append(el("div", { class: "ex-spinner" }));
    message.append(el("div", { textContent: text }));
    if (again) message.append(el("button", { type: "button", class: "ex-button", textContent: "Try again", on: { click: again } }));
    this.over.replaceChildren(message);
  },
};

/** Rows of a base64 bit set, most significant bit first (numpy.packbits). */
function rowsOfBits(text) {
  const bytes = atob(text);
  const rows = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes.charCodeAt(at);
    for (let bit = 0; byte && bit < 8; bit++) if (byte & (128 >> bit)) rows.push(at * 8 + bit);
  }
  return rows;
}

Object.assign(MapView.prototype, Selecting);
