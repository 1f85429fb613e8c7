// A facet of numbers or dates: bars that one draws across, both ends as fields, and what has no value.

class NumberBars {
  /** `tell.between([low, high] or null)`, `tell.choose(values)`: "" among the values stands for no value. */
  // `tell.ends()`, `tell.chosen()`: both by all that was done so far; what the server last said may be older.
  constructor(tell) {
    this.tell = tell;
    this.plot = el("div", { class: "fp-plot", on: {
      pointerdown: (event) => this.begin(event),
      pointermove: (event) => this.move(event),
      pointerup: (event) => this.end(event),
      pointercancel: () => { this.from = undefined; this.paint(); },
    } });
    this.plot.title = "Draw across the bars to keep a part";
    this.low = this.field("from", 0);
    this.high = this.field("to", 1);
    this.none = el("button", { type: "button", class: "fp-value fp-novalue", on: { click: () => this.tell.choose(this.tell.chosen().includes("") ? [] : [""]) } });
    this.node = el("div", {}, this.plot, el("div", { class: "fp-ends" }, this.low, el("span", { textContent: "to" }), this.high), this.none);
  }

  field(words, side) {
    const input = el("input", { type: "text", class: "fp-field", inputMode: "decimal", autocomplete: "off", on: {
      change: () => this.typed(side),
    } });
    input.setAttribute("aria-label", words);
    return input;
  }

  show(said) {
    this.said = said;
    const { bars, none, values, between } = said;
    if (this.plot.children.length !== bars.length) {
      this.plot.replaceChildren(...bars.map(() => el("div", { class: "fp-bin" }, el("span", { class: "fp-whole" }), el("span", { class: "fp-part" }))));
    }
    const most = Math.max(1, ...bars.map((bar) => bar[2]));
    const whole = Math.max(1, ...bars.map((bar) => bar[3]));
    bars.forEach(([low, high, count, total], at) => {
      const bin = this.plot.children[at];
      bin.children[0].style.height = `${(100 * total) / whole}%`;
      bin.children[1].style.height = `${count ? Math.max((100 * count) / most, 3) : 0}%`;
      bin.title = low === null ? "" : `${rangeWords(low, high)}: ${counting.format(count)}${count === total ? "" : ` of ${counting.format(total)}`}`;
    });
    const filled = bars.filter((bar) => bar[0] !== null);
    this.least = filled[0]?.[0] ?? null;
    this.most = filled.at(-1)?.[1] ?? null;
    const [low, high] = between ?? [null, null];
    this.fill(this.low, low, this.least);
    this.fill(this.high, high, this.most);
    this.none.hidden = !none[1];
    this.none.textContent = `no value (${counting.format(none[0])})`;
    this.none.setAttribute("aria-pressed", String(values.includes("")));
    this.paint();
  }

  fill(input, end, otherwise) {
    input.classList.remove("fp-wrong");
    input.placeholder = endWords(otherwise);
    if (input.getRootNode().activeElement !== input) input.value = end === null ? "" : endWords(end);
  }

  /** Which bars are within: while one draws, those that are drawn across. */
  paint() {
    const { bars, between, values } = this.said;
    const drawn = this.from === undefined ? null : [Math.min(this.from, this.to), Math.max(this.from, this.to)];
    bars.forEach(([low, high], at) => {
      const [least, most] = between ?? [null, null];
      const within = drawn ? at >= drawn[0] && at <= drawn[1]
        : between ? low !== null && (least === null || high >= least) && (most === null || low <= most)
          : !values.length;
      this.plot.children[at].classList.toggle("fp-out", !within);
    });
  }

  at(event) {
    const box = this.plot.getBoundingClientRect();
    return clamp(Math.floor(((event.clientX - box.left) / box.width) * this.said.bars.length), 0, this.said.bars.length - 1);
  }

  begin(event) {
    if (event.button !== 0) return;
    this.from = this.to = this.at(event);
    this.plot.setPointerCapture(event.pointerId);
    this.paint();
  }

  move(event) {
    if (this.from === undefined) return;
    this.to = this.at(event);
    this.paint();
  }

  end() {
    if (this.from === undefined) return;
    const [first, last] = [Math.min(this.from, this.to), Math.max(this.from, this.to)];
    this.from = undefined;
    const { bars } = this.said;
    const within = bars.slice(first, last + 1).filter((bar) => bar[0] !== null);
    if (!within.length) {
      this.paint();
      return;
    }
    const open = [first === 0 || within[0][0] === this.least, last === bars.length - 1 || within.at(-1)[1] === this.most];
    this.tell.between(open[0] && open[1] ? null : [open[0] ? null : within[0][0], open[1] ? null : within.at(-1)[1]]);
  }

  typed(side) {
    const input = side ? this.high : this.low;
    const text = input.value.trim();
    const dates = this.said.kind === "dates";
    const end = text === "" ? null : dates ? text : Number(text.replace(",", "."));
    const wrong = end !== null && (dates ? !/^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/.test(end) : !Number.isFinite(end));
    input.classList.toggle("fp-wrong", wrong);
    input.title = wrong ? (dates ? "A year, a month or a day, such as 2019-05-31" : "A number, such as 12.5") : "";
    if (wrong) return;
    const ends = [...this.tell.ends()];
    ends[side] = end;
    this.tell.between(ends[0] === null && ends[1] === null ? null : ends);
  }

  destroy() {}
}

function endWords(end) {
  return end === null ? "" : typeof end === "number" ? String(Number(end.toPrecision(6))) : end;
}

function rangeWords(low, high) {
  return low === high ? endWords(low) : `${endWords(low)} to ${endWords(high)}`;
}
