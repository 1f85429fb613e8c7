// Two maps of the same pictures with one lasso: what is circled or pointed at in one lights up in the other.

const twins = new WeakMap();

class TwinView extends MapView {
  constructor(root, twin, side) {
    super(root);
    this.twin = twin;
    this.side = side;
    this.mark = el("div", { class: "tw-mark", hidden: true });
    this.stage.append(this.mark);
    const { show, hide } = HoverCard.prototype;
    this.card.show = (row, ...more) => { show.call(this.card, row, ...more); twin.point(side, row); };
    this.card.hide = () => { hide.call(this.card); twin.point(side, -1); };
  }

  get viewKey() {
    return `twin ${this.side} ${this.base}`;
  }

  choose(path) {
    super.choose(path);
    this.twin.mirror(this.side);
  }

  clear() {
    super.clear();
    this.twin.mirror(this.side);
  }

  filtered() {
    super.filtered();
    this.twin.filter(this.side);
  }

  /** What is chosen stands out also where the colouring has no value for it. */
  palette() {
    const colours = super.palette();
    if (this.points?.chosen && this.data.colour.kind !== "none") colours.set(this.textColour, 4 * NO_VALUE);
    return colours;
  }

  showChosen() {
    this.renderer.setPalette(this.palette());
    super.showChosen();
  }

  moving() {
    super.moving();
    this.mark.hidden = true;
  }

  setThumbs(on) {
    super.setThumbs(on);
    const other = this.twin?.views[1 - this.side];
    if (other && other.thumbs.on !== on) other.setThumbs(on);
  }
}

class TwinMaps {
  constructor(root) {
    const roots = [0, 1].map(() => el("div", { class: "tw-map" }));
    this.titles = roots.map(() => el("h3", { class: "tw-title" }));
    root.replaceChildren(el("div", { class: "tw" },
      ...roots.map((each, side) => el("section", { class: "tw-side" }, this.titles[side], each))));
    this.root = root;
    this.views = [];
    for (const side of [0, 1]) this.views.push(new TwinView(roots[side], this, side));
  }

  update({ data, setTriggerValue }) {
    this.data = data;
    const sign = JSON.stringify(data.sides.map((side) => [data.dataset, side.space, side.generation]));
    if (sign !== this.sign) {
      this.sign = sign;
      this.across = data.same ? Promise.resolve(null) : this.fetchAcross(data);
      this.across.catch((error) => this.views[0].say(error.message));
    }
    for (const [side, view] of this.views.entries()) {
      const { title, ...own } = data.sides[side];
      this.titles[side].textContent = title;
      view.update({
        data: { ...own, dataset: data.dataset, heard: data.heard, height: data.height, filter: data.filter, similar: data.similar,
          labels: [], hidden: [], lasso: true, tellHidden: false },
        setTriggerValue: (name, value) => setTriggerValue(name, { ...value, side }),
      });
    }
  }

  /** For each side the rows of its pictures in the other; -1 where it does not have them. */
  async fetchAcross({ dataset, sides }) {
    const path = (from, to) => `map/${encodeURIComponent(from.space)}/${encodeURIComponent(from.generation)}/in/${encodeURIComponent(to.space)}/${encodeURIComponent(to.generation)}.bin`;
    const [a, b] = sides;
    return Promise.all([[a, b], [b, a]].map(async ([from, to]) => new Int32Array(await getBuffer(address(dataset, path(from, to))))));
  }

  /** What is chosen on one side, chosen on the other; the server says the same a moment later. */
  async mirror(side) {
    const [from, to] = [this.views[side], this.views[1 - side]];
    to.sent = from.sent;
    to.sentAt = from.sentAt;
    let across;
    try {
      across = await this.across;
    } catch {
      return; // said when it was fetched
    }
    if (!from.points || !to.points) return;
    if (from.points.chosen) {
      const rows = from.points.chosenRows(from.points.n);
      to.points.chooseRows(across ? rows.map((row) => across[side][row]).filter((row) => row >= 0) : rows);
    } else to.points.chooseNone();
    to.surface.dataset.chosen = String(to.points.chosenCount);
    to.showChosen();
  }

  /** Mark the picture of a row of one side on the other; -1: none. */
  async point(side, row) {
    const asked = (this.pointing = {});
    const to = this.views[1 - side];
    if (!to) return;
    to.mark.hidden = true;
    if (row < 0 || !to.points) return;
    const across = await this.across.catch(() => undefined);
    if (this.pointing !== asked || across === undefined) return;
    const there = across ? across[side][row] : row;
    if (there < 0) return;
    const [x, y] = to.view.toScreen(to.points.xy[2 * there], to.points.xy[2 * there + 1]);
    to.mark.hidden = false;
    to.mark.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
  }

  /** The same lines of the legend switched off on both sides. */
  filter(side) {
    const [from, to] = [this.views[side].legend, this.views[1 - side].legend];
    const hidden = new Set(from.hiddenLabels());
    if (!this.views[1 - side].points || !to.rows) return;
    for (const line of to.rows) to.off[line.code] = hidden.has(line.label) ? 1 : 0;
    to.paint();
    this.views[1 - side].applyOff();
  }

  destroy() {
    for (const view of this.views) view.destroy();
  }
}

export default function (component) {
  return mountOnce(twins, component, (root) => new TwinMaps(root));
}
