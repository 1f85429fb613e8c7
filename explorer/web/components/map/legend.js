// What the colours mean; a click hides a class, a double click (or alt-click, or "only") shows it alone.

const NO_VALUE = 255;
const SCALE = [[72, 37, 118], [59, 82, 139], [33, 145, 140], [94, 201, 98], [210, 215, 40]];
const SPARE_COLOURS = ["#0f766e", "#e07a2f", "#5b6ee1", "#c2417c", "#7a9b1f", "#2f9bd6", "#a3562a", "#8a56c9", "#d6a419", "#3f8f5b"];

/** Where `t` in [0, 1] lies on the colour scale (viridis without its darkest and lightest ends). */
function scaleColour(t) {
  const at = clamp(t, 0, 1) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  return SCALE[low].map((part, each) => Math.round(part + (SCALE[low + 1][each] - part) * (at - low)));
}

/** 256 × RGBA for a colouring; hidden codes get alpha 0. `grey` and `accent` are [r, g, b]. */
function paletteOf(colour, off, grey, accent) {
  const palette = new Uint8Array(1024);
  const classes = colour.kind === "category" ? colour.legend : [];
  for (let code = 0; code < 256; code++) {
    let rgb = grey;
    if (colour.kind === "none") rgb = accent;
    else if (colour.kind === "number" && code !== NO_VALUE) rgb = scaleColour(code / 254);
    else if (code < classes.length) rgb = rgbOf(classes[code].colour ?? SPARE_COLOURS[code % SPARE_COLOURS.length]);
    palette.set([...rgb, off[code] ? 0 : 255], 4 * code);
  }
  return palette;
}

class Legend {
  /** `onChange(off)`: off is a Uint8Array(256), 1 where a code is hidden. */
  constructor(onChange) {
    this.onChange = onChange;
    this.off = new Uint8Array(256);
    this.title = el("h3", { class: "mp-legend-title" });
    this.reset = el("button", { type: "button", class: "mp-link", textContent: "Show all", hidden: true, on: { click: () => this.showAll() } });
    this.list = el("div", { class: "mp-classes", role: "group" });
    this.node = el("aside", { class: "mp-legend" }, el("div", { class: "mp-legend-head" }, this.title, this.reset), this.list);
    this.node.setAttribute("aria-label", "What the colours mean");
  }

  show(colour, counts, hiddenLabels) {
    this.colour = colour;
    this.off = new Uint8Array(256);
    this.title.textContent = colour.title ?? "";
    this.node.hidden = colour.kind === "none";
    if (colour.kind === "category") {
      const hidden = new Set(hiddenLabels);
      this.rows = colour.legend.map((entry, code) => ({ code, label: String(entry.label), colour: entry.colour ?? SPARE_COLOURS[code % SPARE_COLOURS.length] }));
      this.rows.push({ code: NO_VALUE, label: "no value", colour: "" });
      for (const row of this.rows) if (hidden.has(row.label)) this.off[row.code] = 1;
      this.list.replaceChildren(...this.rows.map((row) => this.line(row)));
    } else {
      this.rows = [];
      this.list.replaceChildren(...(colour.kind === "number" ? [this.bar(colour.legend ?? {})] : []));
    }
    this.setCounts(counts);
    this.paint();
  }

  line(row) {
    const dot = el("span", { class: "mp-dot" });
    if (row.colour) dot.style.background = row.colour;
    const name = el("span", { class: "mp-name", textContent: row.label, title: row.label });
    row.count = el("span", { class: "mp-count" });
    row.button = el("button", { type: "button", class: "mp-class", on: {
      click: (event) => (event.altKey ? this.isolate(row) : this.toggle(row)),
      dblclick: () => this.isolate(row),
    } }, dot, name, row.count);
    const only = el("button", { type: "button", class: "mp-link mp-only", textContent: "only", on: { click: () => this.isolate(row) } });
    only.setAttribute("aria-label", `Show only ${row.label}`);
    row.node = el("div", { class: "mp-line" }, row.button, only);
    return row.node;
  }

  bar({ min = 0, max = 1 }) {
    const strip = el("div", { class: "mp-scale" });
    const stops = Array.from({ length: 11 }, (_, at) => `rgb(${scaleColour(at / 10).join(" ")}) ${at * 10}%`);
    strip.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
    this.unknown = el("p", { class: "ex-quiet mp-unknown" });
    const ends = el("div", { class: "mp-ends ex-quiet" },
      el("span", { textContent: shortNumber.format(min) }), el("span", { textContent: shortNumber.format(max) }));
    return el("div", {}, strip, ends, this.unknown);
  }

  setCounts(counts) {
    for (const row of this.rows) {
      row.count.textContent = counting.format(counts[row.code]);
      if (row.code === NO_VALUE) row.node.hidden = counts[NO_VALUE] === 0;
    }
    if (this.colour.kind === "number" && this.unknown) {
      this.unknown.textContent = counts[NO_VALUE] ? `${pictures(counts[NO_VALUE])} without a value (grey)` : "";
    }
  }

  toggle(row) {
    this.off[row.code] = 1 - this.off[row.code];
    this.changed();
  }

  isolate(row) {
    const alone = this.rows.every((each) => this.off[each.code] === (each === row ? 0 : 1));
    for (const each of this.rows) this.off[each.code] = alone || each === row ? 0 : 1;
    this.changed();
  }

  showAll() {
    this.off.fill(0);
    this.changed();
  }

  changed() {
    this.paint();
    this.onChange(this.off);
  }

  paint() {
    for (const row of this.rows) {
      row.button.setAttribute("aria-pressed", String(!this.off[row.code]));
      row.node.classList.toggle("mp-off", this.off[row.code] === 1);
    }
    this.reset.hidden = !this.rows.some((row) => this.off[row.code]);
  }

  hiddenLabels() {
    return this.rows.filter((row) => this.off[row.code]).map((row) => row.label);
  }

  hiddenCodes() {
    return this.rows.filter((row) => this.off[row.code]).map((row) => row.code);
  }

  labelOf(code) {
    return this.rows.find((row) => row.code === code && code !== NO_VALUE);
  }
}
