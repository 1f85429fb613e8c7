// The list of one class, longer or surer: everything the slider shows is in the browser already.

const sliders = new WeakMap();
const SETTLE_MS = 350;

class Threshold {
  constructor(root) {
    this.root = root;
    this.slider = el("input", { type: "range", min: "0", step: "1", class: "th-slider", on: {
      input: () => this.move(Number(this.slider.value)),
      keydown: (event) => event.stopPropagation(), // Streamlit's own keys stay asleep
    } });
    this.slider.setAttribute("aria-label", "From the longest list to the surest");
    this.count = el("div", { class: "th-count" });
    this.precision = this.bar("are right", "How many of the pictures in the list really belong there");
    this.recall = this.bar("are found", "How many of all there are have made it into the list");
    this.sentence = el("p", { class: "th-sentence", role: "status" });
    this.right = el("button", { type: "button", class: "ex-button th-right", textContent: "95 % right", on: { click: () => this.jump(this.data.right) } });
    this.found = el("button", { type: "button", class: "ex-button th-found", textContent: "95 % found", on: { click: () => this.jump(this.data.found) } });
    const ends = el("div", { class: "th-ends ex-quiet" }, el("span", { textContent: "longer list" }), el("span", { textContent: "surer list" }));
    this.root.replaceChildren(
      el("div", { class: "th-top" }, this.count, el("div", { class: "th-buttons" }, this.right, this.found)),
      el("div", { class: "th-track" }, this.slider, ends),
      el("div", { class: "th-bars" }, this.precision.row, this.recall.row),
      this.sentence,
    );
  }

  /** A bar with the figure, and a whisker from the low to the high end of its interval. */
  bar(words, title) {
    const fill = el("span", { class: "th-fill" });
    const whisker = el("span", { class: "th-whisker" });
    const figure = el("span", { class: "th-figure" });
    const row = el("div", { class: "th-row", title }, figure, el("span", { class: "th-words ex-quiet", textContent: words }),
      el("span", { class: "th-bar" }, fill, whisker));
    return { row, fill, whisker, figure };
  }

  update({ data, setTriggerValue }) {
    this.trigger = setTriggerValue;
    const look = JSON.stringify([data.name, data.thresholds, data.above, data.precision, data.recall]);
    const fresh = look !== this.look;
    const asked = data.thresholds[data.at];
    this.data = data;
    this.look = look;
    this.slider.max = String(data.thresholds.length - 1);
    this.root.style.setProperty("--own", data.colour);
    for (const [button, place, why] of [
      [this.right, data.right, "No list of this answer would be 95 % right yet: answer more pictures"],
      [this.found, data.found, "No list holds 95 % of them yet: answer more pictures"],
    ]) {
      button.disabled = place === null;
      button.title = place === null ? why : "";
    }
    // an echo of an earlier place must not take the slider from under the hand
    if (fresh || (asked !== this.asked && !this.telling && asked !== this.told)) this.show(data.at);
    else this.show(Math.min(this.at, data.thresholds.length - 1));
    this.asked = asked;
  }

  jump(place) {
    if (place !== null) this.move(place);
  }

  move(place) {
    this.show(place);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      this.telling = undefined;
      this.told = this.data.thresholds[this.at];
      this.trigger("settle", { threshold: this.told });
    }, SETTLE_MS);
  }

  show(place) {
    const { above, precision, recall, name } = this.data;
    this.at = place;
    this.slider.value = String(place);
    const right = precision.map((row) => row[place]);
    const found = recall.map((row) => row[place]);
    this.count.textContent = pictures(above[place]);
    this.paint(this.precision, right);
    this.paint(this.recall, found);
    this.sentence.textContent = `Of the ${pictures(above[place])} in this list about ${interval(right)} are right; `
      + `it holds about ${interval(found)} of all “${name}”.`;
    this.slider.setAttribute("aria-valuetext", this.sentence.textContent);
    this.right.setAttribute("aria-pressed", String(place === this.data.right));
    this.found.setAttribute("aria-pressed", String(place === this.data.found));
  }

  paint(bar, [value, low, high]) {
    bar.figure.textContent = percent(value);
    bar.fill.style.width = `${100 * value}%`;
    bar.whisker.style.left = `${100 * low}%`;
    bar.whisker.style.width = `${100 * Math.max(high - low, 0)}%`;
  }

  destroy() {
    clearTimeout(this.telling);
  }
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function interval([value, low, high]) {
  return `${percent(value)} (${Math.round(100 * low)}–${Math.round(100 * high)})`;
}

export default function (component) {
  return mountOnce(sliders, component, (root) => new Threshold(root));
}
