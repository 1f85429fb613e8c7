// Rows are what you answered, columns what it takes them for. Shades go by the share of the row.

const grids = new WeakMap();

class Confusion {
  constructor(root) {
    this.root = root;
  }

  update({ data, setTriggerValue }) {
    this.trigger = setTriggerValue;
    const { chosen, ...drawn } = data;
    const look = JSON.stringify(drawn);
    if (look !== this.look) {
      this.look = look;
      this.draw(data);
    }
    for (const cell of this.cells) cell.setAttribute("aria-pressed", String(JSON.stringify(chosen) === cell.dataset.at));
  }

  draw({ names, counts }) {
    this.cells = [];
    const head = el("tr", {}, el("th", { class: "cf-corner ex-quiet", textContent: "you answered ↓ it says →" }),
      ...names.map((name) => el("th", { class: "cf-top", scope: "col", title: name }, el("span", { textContent: name }))));
    const rows = counts.map((row, answered) => {
      const all = row.reduce((sum, each) => sum + each, 0);
      return el("tr", {}, el("th", { class: "cf-left", scope: "row", title: names[answered] }, el("span", { textContent: names[answered] })),
        ...row.map((count, guessed) => this.cell(names, answered, guessed, count, all)));
    });
    this.root.replaceChildren(el("div", { class: "cf-scroll" }, el("table", { class: "cf-grid" }, el("thead", {}, head), el("tbody", {}, ...rows))));
  }

  cell(names, answered, guessed, count, all) {
    const right = answered === guessed;
    const words = `${pictures(count)} answered “${names[answered]}”, ${right ? "and it says so too" : `taken for “${names[guessed]}”`}`;
    const button = el("button", {
      type: "button", class: `cf-cell ${right ? "cf-same" : "cf-other"}`, disabled: count === 0, title: words,
      data: { at: JSON.stringify([answered, guessed]) }, textContent: count ? counting.format(count) : "·",
      on: { click: () => this.trigger("cell", { answered, guessed }) },
    });
    button.setAttribute("aria-label", words);
    button.style.setProperty("--share", `${all ? Math.round(8 + 62 * (count / all)) : 0}%`);
    if (!count) button.style.setProperty("--share", "0%");
    this.cells.push(button);
    return el("td", {}, button);
  }

  destroy() {
    this.cells = [];
  }
}

export default function (component) {
  return mountOnce(grids, component, (root) => new Confusion(root));
}
