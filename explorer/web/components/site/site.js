// The pages of a copy without a server: the map, the pictures, the groups, the questions.

const AT_ONCE = 120;
const GROUPS_AT_ONCE = 12;
const EVERY = -1;

for (const column of SITE.columns) column.codes = unpack(column.codes, Uint32Array);
for (const grouping of SITE.groupings) {
  grouping.rows = unpack(grouping.rows, Uint32Array);
  let start = 0;
  for (const group of grouping.groups) {
    group.rows = grouping.rows.subarray(start, start + group.size);
    start += group.size;
  }
}

const main = document.querySelector("main");
const nav = document.querySelector("nav");
let mapPage;

function select(label, options, chosen, change) {
  const node = el("select", { on: { change: () => change(node.value) } },
    ...options.map(([value, words]) => el("option", { value, textContent: words, selected: value === chosen })));
  return el("label", { class: "st-field" }, el("span", { textContent: label }), node);
}

/** A gallery of rows that grows when asked. `more(row, place)` gives badge and note. */
function galleryOf(rows, more = () => ({}), empty = "No pictures here.") {
  const root = el("div", { class: "ex-root" });
  const gallery = new Gallery(root);
  const next = el("button", { type: "button", class: "ex-button st-more", on: { click: () => { shown += 2 * AT_ONCE; show(); } } });
  let shown = AT_ONCE;
  const show = () => {
    const items = Array.from(rows.slice(0, shown), (row, place) => item(row, more(row, place)));
    gallery.update({ data: { dataset: "", space: "", items, size: 130, controls: true, selected: [], empty }, setTriggerValue: () => {} });
    gallery.count.textContent = items.length < rows.length ? `${counting.format(items.length)} of ${pictures(rows.length)}` : pictures(rows.length);
    next.hidden = shown >= rows.length;
    next.textContent = `Show more of the other ${counting.format(rows.length - items.length)}`;
  };
  show();
  return el("div", {}, root, next);
}

function strip(rows) {
  const root = el("div", { class: "ex-root" });
  const items = rows.map((row) => item(row));
  new Gallery(root).update({ data: { dataset: "", space: "", items, size: 84, controls: false, selected: [], empty: "" }, setTriggerValue: () => {} });
  return root;
}

class MapPage {
  constructor() {
    this.by = SITE.colours[0].by;
    const colours = SITE.colours.map((each) => [each.by, each.words]);
    this.below = el("section", { class: "st-below", aria: { live: "polite" } });
    this.root = el("div", { class: "ex-root st-map" });
    const hint = "Pictures that are alike lie close together. Scroll or pinch to come nearer, point at a dot to see it, click to open it, and draw around some with the lasso.";
    this.node = el("div", {}, el("p", { class: "ex-quiet", textContent: hint }),
      select("Colour by", colours, this.by, (by) => { this.by = by; this.show(); }), this.root, this.below);
  }

  /** Once it stands on the page: a map draws itself at the size that it has. */
  show() {
    this.map ??= new MapView(this.root);
    const { codes, words, ...colour } = SITE.colours.find((each) => each.by === this.by);
    const height = Math.round(clamp(window.innerHeight - 260, 320, 760));
    const data = { dataset: "", space: "", generation: "1", n: SITE.n, colour, hidden: [], labels: SITE.labels, filter: "", height, lasso: true };
    this.map.update({ data, setTriggerValue: (name) => this.chosen(name) });
  }

  chosen(name) {
    const rows = name === "lasso" ? this.map.points.chosenRows(SITE.n) : [];
    this.below.replaceChildren();
    if (rows.length) this.below.append(el("h2", { textContent: `${pictures(rows.length)} drawn around` }), galleryOf(rows));
  }

  async mark(rows) {
    for (let tries = 0; !this.map?.points && tries < 200; tries++) await new Promise((go) => setTimeout(go, 25));
    if (!this.map?.points) return;
    this.map.points.chooseRows(rows);
    this.map.showChosen();
    this.chosen("lasso");
  }
}

function showMap() {
  mapPage ??= new MapPage();
  main.replaceChildren(mapPage.node);
  mapPage.show();
}

/** Every word has to be in the caption or in one of the columns. */
function found(words, which) {
  const asked = words.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const grouping = SITE.groupings[0];
  const rows = which === EVERY || !grouping ? Array.from({ length: SITE.n }, (_, row) => row) : [...grouping.groups[which].rows];
  if (!asked.length) return rows;
  const texts = (row) => [SITE.captions[row], ...SITE.columns.map((column) => column.values[column.codes[row]])].join(" ").toLocaleLowerCase();
  return rows.filter((row) => { const text = texts(row); return asked.every((word) => text.includes(word)); });
}

function showPictures() {
  const grouping = SITE.groupings[0];
  let which = EVERY;
  const below = el("div");
  const words = el("input", { type: "search", placeholder: "for example: tree", on: { input: () => { clearTimeout(waiting); waiting = setTimeout(show, 150); } } });
  let waiting;
  const show = () => below.replaceChildren(galleryOf(found(words.value, which), undefined, "No picture has these words. Take one out, or choose another group."));
  const groups = (grouping?.groups ?? []).map((group, place) => [String(place), `${group.title} (${counting.format(group.size)})`]);
  const field = el("label", { class: "st-field" }, el("span", { textContent: "Words" }), words);
  const bar = el("div", { class: "st-bar" }, field);
  if (groups.length) bar.append(select("Group", [[String(EVERY), "all"], ...groups], String(which), (value) => { which = Number(value); show(); }));
  main.replaceChildren(bar, below);
  show();
}

function differs(group, most) {
  return group.differs.slice(0, most).join(" · ");
}

function showGroups(which = "0", number) {
  const grouping = SITE.groupings[Number(which)];
  if (!grouping) return main.replaceChildren(el("p", { textContent: "There are no groups in this collection." }));
  const group = number === undefined ? undefined : grouping.groups[Number(number)];
  if (group) return showGroup(which, group);
  let shown = GROUPS_AT_ONCE;
  const list = el("div", { class: "st-groups" });
  const next = el("button", { type: "button", class: "ex-button st-more", on: { click: () => { shown = Infinity; show(); } } });
  const show = () => {
    list.append(...grouping.groups.slice(list.children.length, shown).map((each) => {
      const place = grouping.groups.indexOf(each);
      const link = el("a", { href: `#/groups/${which}/${place}`, textContent: each.title });
      const head = el("h2", {}, link, el("span", { class: "ex-quiet", textContent: ` ${pictures(each.size)}` }));
      return el("section", { class: "st-card" }, head, strip(each.typical), el("p", { class: "ex-quiet", textContent: differs(each, 1) }));
    }));
    next.hidden = list.children.length >= grouping.groups.length;
    next.textContent = `Show the other ${counting.format(grouping.groups.length - list.children.length)} groups`;
  };
  show();
  const choices = SITE.groupings.map((each, place) => [String(place), each.title]);
  const alone = SITE.n - grouping.rows.length;
  const told = `${counting.format(grouping.groups.length)} groups of pictures that are alike.${alone ? ` ${pictures(alone)} in none of them.` : ""}`;
  const bar = el("div", { class: "st-bar" }, select("Grouping", choices, which, (value) => { location.hash = `#/groups/${value}`; }));
  main.replaceChildren(el("p", { class: "ex-quiet", textContent: told }), ...(choices.length > 1 ? [bar] : []), list, next);
}

function showGroup(which, group) {
  const onMap = el("button", { type: "button", class: "ex-button", textContent: "Show on the map", on: { click: () => {
    location.hash = "#/map";
    setTimeout(() => mapPage.mark(group.rows), 60);
  } } });
  const back = el("a", { class: "ex-button", href: `#/groups/${which}`, textContent: "All groups" });
  const words = [`${pictures(group.size)}, the most typical first.`, group.differs.length ? `What is more common here: ${differs(group, 6)}` : ""];
  main.replaceChildren(el("div", { class: "st-bar" }, back, onMap), el("h2", { textContent: group.title }),
    el("p", { class: "ex-quiet", textContent: words.join(" ") }), galleryOf(group.rows));
}

function showQuestions(which = "0") {
  const question = SITE.questions[Number(which)];
  if (!question) return main.replaceChildren(el("p", { textContent: "No question has been asked about these pictures yet." }));
  const below = el("div");
  const table = el("table", { class: "st-table" }, el("thead", {}, el("tr", {},
    ...["Answer", "Given", "Guessed"].map((words) => el("th", { scope: "col", textContent: words })))));
  table.append(el("tbody", {}, ...question.classes.map((each) => {
    const dot = el("span", { class: "mp-dot" });
    dot.style.background = each.colour;
    return el("tr", {}, el("th", { scope: "row" }, dot, each.name), el("td", { textContent: counting.format(each.given) }),
      el("td", { textContent: each.guessed === null ? "–" : counting.format(each.guessed) }));
  })));
  const tabs = question.classes.map((each) => el("button", { type: "button", class: "ex-button", textContent: each.name, on: { click: () => show(each) } }));
  const show = (chosen) => {
    tabs.forEach((tab, place) => tab.setAttribute("aria-pressed", String(question.classes[place] === chosen)));
    below.replaceChildren(galleryOf(chosen.order.map((each) => each[0]), (_, place) => {
      const [, share, given] = chosen.order[place];
      return { badge: `${Math.round(100 * share)} %`, note: given ? "answered" : "" };
    }));
  };
  const several = SITE.questions.map((each, place) => [String(place), each.name]);
  const bar = el("div", { class: "st-bar" }, select("Question", several, which, (value) => { location.hash = `#/questions/${value}`; }));
  const parts = [el("h2", { textContent: question.name }), el("p", { class: "st-good", textContent: question.good }), table];
  if (question.ready) parts.push(el("h3", { textContent: "Most likely first" }), el("div", { class: "st-bar", role: "group" }, ...tabs), below);
  main.replaceChildren(...(several.length > 1 ? [bar] : []), ...parts);
  if (question.ready) show(question.classes[0]);
}

const PAGES = [["map", "Map", showMap], ["pictures", "Pictures", showPictures], ["groups", "Groups", showGroups], ["questions", "Questions", showQuestions]];

function route() {
  const [, name, ...rest] = location.hash.split("/");
  const [chosen, title, show] = PAGES.find((each) => each[0] === name) ?? PAGES[0];
  PAGE.lightbox?.close();
  nav.replaceChildren(...PAGES.filter((each) => each[0] !== "questions" || SITE.questions.length).map(([each, words]) => {
    const link = el("a", { href: `#/${each}`, textContent: words });
    if (each === chosen) link.setAttribute("aria-current", "page");
    return link;
  }));
  document.title = `${title} · ${SITE.name}`;
  show(...rest);
  window.scrollTo(0, 0);
}

document.querySelector("h1").textContent = SITE.name;
document.querySelector(".st-about").textContent = `${pictures(SITE.n)}, compared by ${SITE.space}. A copy of ${SITE.made}; nothing here can be changed.`;
document.querySelector(".st-wait").remove();
window.addEventListener("hashchange", route);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => mapPage?.map?.points && mapPage.map.repaint());
route();
