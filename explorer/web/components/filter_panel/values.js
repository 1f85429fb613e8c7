// A facet of values: a line each with its count, and a field to find some where there are many.

const LINES = 8;
const FIND_FROM = 20;

class ValueLines {
  /** `tell.choose(values)`, `tell.has(text)`: what is chosen now. */
  // `tell.chosen()`: the values by all presses so far; what the server last said may be older.
  constructor(tell) {
    this.tell = tell;
    this.all = false;
    this.find = el("input", { type: "search", class: "fp-field", placeholder: "with these letters", autocomplete: "off", on: {
      input: () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.tell.has(this.find.value.trim()), TYPING_MS);
      },
    } });
    this.find.setAttribute("aria-label", "Only with these letters");
    this.list = el("div", { class: "fp-values", role: "group" });
    this.rest = el("button", { type: "button", class: "fp-link", on: { click: () => { this.all = !this.all; this.show(this.said); } } });
    this.node = el("div", {}, this.find, this.list, this.rest);
  }

  show(said) {
    this.said = said;
    const { bars, more, values, has } = said;
    this.find.hidden = !has && !more && bars.length < FIND_FROM;
    if (document.activeElement !== this.find && this.find.getRootNode().activeElement !== this.find) this.find.value = has ?? "";
    const chosen = new Set(values);
    const shown = this.all ? bars : bars.filter((bar, at) => at < LINES || chosen.has(bar[0]));
    const most = Math.max(1, ...bars.map((bar) => bar[2]));
    const names = JSON.stringify(shown.map((bar) => bar[0]));
    if (names !== this.names) {
      this.names = names;
      this.lines = shown.map((bar) => this.line(bar[0], bar[1]));
      this.list.replaceChildren(...this.lines.map((line) => line.button));
    }
    shown.forEach(([value, label, count, total], at) => {
      const line = this.lines[at];
      line.fill.style.width = `${(100 * count) / most}%`;
      line.count.textContent = counting.format(count);
      line.button.title = `${label}: ${counting.format(count)}${count === total ? "" : ` of ${counting.format(total)}`}`;
      line.button.setAttribute("aria-pressed", String(chosen.has(value)));
      line.button.classList.toggle("fp-out", chosen.size > 0 && !chosen.has(value));
      line.button.classList.toggle("fp-none", count === 0);
    });
    const hidden = bars.length - shown.length;
    this.rest.hidden = !hidden && !more && !(this.all && bars.length > LINES);
    this.rest.disabled = !hidden && !this.all;
    if (more && !hidden) this.rest.textContent = `${counting.format(more)} ${bars.length ? "more" : "different ones"}: find them by letters`;
    else this.rest.textContent = this.all ? "show fewer" : `${counting.format(hidden)} more`;
  }

  line(value, label) {
    const fill = el("span", { class: "fp-fill" });
    const count = el("span", { class: "fp-count" });
    const button = el("button", { type: "button", class: "fp-value", on: { click: () => this.toggle(value) } },
      fill, el("span", { class: "fp-label", textContent: label }), count);
    return { button, fill, count };
  }

  toggle(value) {
    const values = this.tell.chosen();
    this.tell.choose(values.includes(value) ? values.filter((each) => each !== value) : [...values, value]);
  }

  destroy() {
    clearTimeout(this.typing);
  }
}
