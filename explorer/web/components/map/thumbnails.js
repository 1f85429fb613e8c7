// What lies over the dots: pictures in their place as one comes near, and the names of groups.

const MOST_THUMBS = 300;
const SMALLEST = 27;

class Thumbnails {
  constructor(source) {
    this.source = source; // () => {points, hashes, dataset, colourOf}
    this.node = el("div", { class: "mp-thumbs", aria: { hidden: "true" } });
    this.placed = new Map();
    this.size = 0;
    this.on = true;
  }

  clear() {
    this.node.replaceChildren();
    this.placed.clear();
  }

  /** Choose which points show their picture; those that already do come first, so that moving does not flicker. */
  choose(view, bounds) {
    const { points, hashes } = this.source();
    const rows = [];
    if (this.on && points && hashes && points.roughly(bounds) < 8000) points.within(bounds, (row) => { rows.push(row); });
    const room = Math.sqrt((view.width * view.height) / Math.max(rows.length, 1)) * 0.8;
    if (!rows.length || room < SMALLEST) {
      this.clear();
      return;
    }
    this.size = Math.round(clamp(room, 38, 92));
    const rank = (row) => (points.chosen?.[row] ? 0 : 2) + (this.placed.has(row) ? 0 : 1);
    const scatter = (row) => Math.imul(row + 1, 2654435761) >>> 0;
    rows.sort((a, b) => rank(a) - rank(b) || scatter(a) - scatter(b));
    this.keep(this.free(rows, view, points));
    this.move(view);
  }

  /** The rows whose pictures fit without covering one another, in the order given. */
  free(rows, view, points) {
    const taken = new Map();
    const kept = [];
    const gap = this.size + 3;
    for (const row of rows) {
      const x = points.xy[2 * row] * view.k;
      const y = points.xy[2 * row + 1] * view.k;
      const [column, line] = [Math.floor(x / gap), Math.floor(y / gap)];
      let fits = true;
      for (let c = column - 1; fits && c <= column + 1; c++) {
        for (let l = line - 1; fits && l <= line + 1; l++) {
          const other = taken.get(`${c},${l}`);
          if (other && Math.abs(other[0] - x) < gap && Math.abs(other[1] - y) < gap) fits = false;
        }
      }
      if (!fits) continue;
      taken.set(`${column},${line}`, [x, y]);
      kept.push(row);
      if (kept.length === MOST_THUMBS) break;
    }
    return kept;
  }

  keep(rows) {
    const wanted = new Set(rows);
    for (const [row, node] of this.placed) {
      if (wanted.has(row)) continue;
      node.remove();
      this.placed.delete(row);
    }
    const { hashes, dataset, points } = this.source();
    for (const row of rows) {
      if (this.placed.has(row)) continue;
      const hash = hashName(hashes, row);
      if (!hash) continue;
      const image = el("img", { alt: "", decoding: "async", draggable: false });
      const node = el("div", { class: "mp-thumb" }, image);
      image.addEventListener("error", () => node.classList.add("mp-broken"), { once: true });
      image.addEventListener("load", () => node.classList.add("mp-ready"), { once: true });
      image.src = thumbAddress(dataset, hash);
      this.placed.set(row, node);
      this.node.append(node);
    }
    this.node.style.setProperty("--thumb", `${this.size}px`);
    for (const [row, node] of this.placed) node.classList.toggle("mp-faint", points.chosen !== null && !points.chosen[row]);
    this.paint();
  }

  paint() {
    const { colourOf } = this.source();
    for (const [row, node] of this.placed) node.style.borderColor = colourOf(row);
  }

  move(view) {
    const { points } = this.source();
    const half = this.size / 2;
    for (const [row, node] of this.placed) {
      const [x, y] = view.toScreen(points.xy[2 * row], points.xy[2 * row + 1]);
      node.style.transform = `translate(${(x - half).toFixed(1)}px, ${(y - half).toFixed(1)}px)`;
    }
  }

  /** The row whose picture is under a place on the screen, or -1. */
  at(view, x, y) {
    const { points } = this.source();
    const half = this.size / 2;
    for (const row of this.placed.keys()) {
      const [px, py] = view.toScreen(points.xy[2 * row], points.xy[2 * row + 1]);
      if (Math.abs(px - x) <= half && Math.abs(py - y) <= half) return row;
    }
    return -1;
  }
}

/** Names at places of the map, the most important first; a name that would cover another waits for more room. */
class GroupNames {
  constructor() {
    this.node = el("div", { class: "mp-names", aria: { hidden: "true" } });
    this.names = [];
  }

  show(labels) {
    this.names = labels.map(({ x, y, text }) => ({ x, y, node: el("span", { class: "mp-group mp-away", textContent: text, title: text }) }));
    this.node.replaceChildren(...this.names.map((name) => name.node));
    for (const name of this.names) [name.width, name.height] = [name.node.offsetWidth || 80, name.node.offsetHeight || 20];
  }

  move(view) {
    const taken = [];
    for (const name of this.names) {
      const [x, y] = view.toScreen(name.x, name.y);
      const box = [x - name.width / 2 - 4, y - name.height / 2 - 3, x + name.width / 2 + 4, y + name.height / 2 + 3];
      const inside = box[0] > 0 && box[1] > 0 && box[2] < view.width && box[3] < view.height;
      const free = inside && !taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1]);
      if (free) {
        taken.push(box);
        name.node.style.transform = `translate(${(box[0] + 4).toFixed(1)}px, ${(box[1] + 3).toFixed(1)}px)`;
      }
      name.node.classList.toggle("mp-away", !free);
    }
  }
}
