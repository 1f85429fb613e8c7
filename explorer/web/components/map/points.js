// The points of a map as typed arrays, and the questions asked of them: what is here, what is inside, what is near.

/** xy: Float32Array of n pairs in [-1, 1], y upwards; a point that is not a number is not on the map. */
class Points {
  constructor(xy) {
    this.xy = xy;
    this.n = xy.length / 2;
    this.codes = new Uint8Array(this.n).fill(255);
    this.off = new Uint8Array(256);
    this.chosen = null;
    this.chosenCount = 0;
    this.present = 0;
    this.bounds = this.measure();
  }

  measure() {
    const { xy, n } = this;
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      const x = xy[2 * i];
      const y = xy[2 * i + 1];
      if (x !== x || y !== y) continue;
      this.present++;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      if (y > top) top = y;
    }
    return this.present ? { left, bottom, right, top } : { left: -1, bottom: -1, right: 1, top: 1 };
  }

  /** Rows sorted by cell (counting sort), so that a look at a place touches only what is there. Made when first asked. */
  grid() {
    if (this.cells) return this.cells;
    const { xy, n, bounds } = this;
    const side = clamp(Math.ceil(Math.sqrt(n / 3)), 8, 900);
    const width = Math.max(bounds.right - bounds.left, bounds.top - bounds.bottom, 1e-9) * 1.000001;
    const step = width / side;
    const start = new Uint32Array(side * side + 1);
    const cellOf = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      const column = Math.floor((xy[2 * i] - bounds.left) / step);
      const line = Math.floor((xy[2 * i + 1] - bounds.bottom) / step);
      const cell = column >= 0 && line >= 0 ? line * side + column : -1;
      cellOf[i] = cell;
      if (cell >= 0) start[cell + 1]++;
    }
    for (let cell = 0; cell < side * side; cell++) start[cell + 1] += start[cell];
    const rows = new Uint32Array(this.present);
    const fill = start.slice(0, -1);
    for (let i = 0; i < n; i++) if (cellOf[i] >= 0) rows[fill[cellOf[i]]++] = i;
    this.cells = { side, step, start, rows };
    return this.cells;
  }

  visible(row) {
    return this.off[this.codes[row]] === 0;
  }

  /** Calls `take(rows, from, to)` for runs of points that together hold all of a rectangle, and some beside it. */
  spans({ left, bottom, right, top }, take) {
    const { side, step, start, rows } = this.grid();
    const cell = (value, from) => clamp(Math.floor((value - from) / step), 0, side - 1);
    const [c0, c1] = [cell(left, this.bounds.left), cell(right, this.bounds.left)];
    const [l0, l1] = [cell(bottom, this.bounds.bottom), cell(top, this.bounds.bottom)];
    if (c0 === 0 && c1 === side - 1) {
      take(rows, start[l0 * side], start[(l1 + 1) * side]);
      return;
    }
    for (let line = l0; line <= l1; line++) {
      const [from, to] = [start[line * side + c0], start[line * side + c1 + 1]];
      if (from < to && take(rows, from, to) === false) return;
    }
  }

  /** Calls `take(row, x, y)` for every visible point of a rectangle in map coordinates; stops when it returns false. */
  within(box, take) {
    const { left, bottom, right, top } = box;
    const { xy } = this;
    this.spans(box, (rows, from, to) => {
      for (let at = from; at < to; at++) {
        const row = rows[at];
        const x = xy[2 * row];
        const y = xy[2 * row + 1];
        if (x < left || x > right || y < bottom || y > top || !this.visible(row)) continue;
        if (take(row, x, y) === false) return false;
      }
      return true;
    });
  }

  /** About how many points a rectangle holds, hidden ones included; costs a few hundred additions at any size. */
  roughly({ left, bottom, right, top }) {
    const { side, step, start } = this.grid();
    const cell = (value, from) => clamp(Math.floor((value - from) / step), 0, side - 1);
    const [c0, c1] = [cell(left, this.bounds.left), cell(right, this.bounds.left)];
    const [l0, l1] = [cell(bottom, this.bounds.bottom), cell(top, this.bounds.bottom)];
    let sum = 0;
    for (let line = l0; line <= l1; line++) sum += start[line * side + c1 + 1] - start[line * side + c0];
    return sum;
  }

  /** The visible point nearest to (x, y) and not farther than `reach`, or -1. */
  nearest(x, y, reach) {
    let best = -1;
    let least = reach * reach;
    this.within({ left: x - reach, right: x + reach, bottom: y - reach, top: y + reach }, (row, px, py) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance <= least) [best, least] = [row, distance];
    });
    return best;
  }

  /** Up to `count` visible rows by their distance from a row: what the arrows of the large view walk along. */
  around(row, count) {
    const x = this.xy[2 * row];
    const y = this.xy[2 * row + 1];
    const span = Math.max(this.bounds.right - this.bounds.left, this.bounds.top - this.bounds.bottom, 1e-6);
    let reach = span * Math.sqrt(count / Math.max(this.present, 1)) * 0.3;
    const wanted = Math.min(count, this.present);
    for (;;) {
      const found = [];
      const box = { left: x - reach, right: x + reach, bottom: y - reach, top: y + reach };
      this.within(box, (each, px, py) => { found.push([(px - x) ** 2 + (py - y) ** 2, each]); });
      if (found.length >= wanted || reach > span * 2) {
        return found.sort((a, b) => a[0] - b[0]).slice(0, count).map((pair) => pair[1]);
      }
      reach *= 1.8;
    }
  }

  /** Marks the visible points inside the polygon; returns their number. */
  choose(polygon) {
    const chosen = new Uint8Array(this.n);
    let count = 0;
    const xs = polygon.map((corner) => corner[0]);
    const ys = polygon.map((corner) => corner[1]);
    const box = { left: Math.min(...xs), right: Math.max(...xs), bottom: Math.min(...ys), top: Math.max(...ys) };
    const inside = insideOf(polygon, box);
    this.within(box, (row, x, y) => {
      if (!inside(x, y)) return;
      chosen[row] = 1;
      count++;
    });
    this.chosen = count ? chosen : null;
    this.chosenCount = count;
    return count;
  }

  chooseRows(rows) {
    this.chosen = rows.length ? new Uint8Array(this.n) : null;
    this.chosenCount = 0;
    for (const row of rows) {
      if (row < 0 || row >= this.n || this.chosen[row]) continue;
      this.chosen[row] = 1;
      this.chosenCount++;
    }
  }

  chooseNone() {
    this.chosen = null;
    this.chosenCount = 0;
  }

  chosenRows(limit) {
    const rows = [];
    for (let row = 0; this.chosen && row < this.n && rows.length < limit; row++) if (this.chosen[row]) rows.push(row);
    return rows;
  }

  /** How many points carry each code; points that are not on the map do not count. */
  counts() {
    const counts = new Uint32Array(256);
    for (let row = 0; row < this.n; row++) if (this.xy[2 * row] === this.xy[2 * row]) counts[this.codes[row]]++;
    return counts;
  }
}

/** The same in the order of their places, as `spans` tells them: a look at all of them reads one after the other. */
class Placed {
  constructor(points) {
    this.points = points;
    const { rows } = points.grid();
    this.xy = new Float32Array(2 * rows.length);
    for (let at = 0; at < rows.length; at++) {
      this.xy[2 * at] = points.xy[2 * rows[at]];
      this.xy[2 * at + 1] = points.xy[2 * rows[at] + 1];
    }
  }

  get codes() {
    return (this.ownCodes ??= this.sorted(this.points.codes));
  }

  get chosen() {
    if (!this.points.chosen) return null;
    return (this.ownChosen ??= this.sorted(this.points.chosen));
  }

  setCodes() {
    this.ownCodes = undefined;
  }

  setChosen() {
    this.ownChosen = undefined;
  }

  sorted(bytes) {
    const { rows } = this.points.grid();
    const found = new Uint8Array(rows.length);
    for (let at = 0; at < rows.length; at++) found[at] = bytes[rows[at]];
    return found;
  }
}

/**
 * (x, y) => bool by the even-odd rule; the same arithmetic as points_in_polygon on the server, so that both find the
 * same pictures. Edges are sorted into bands of height, so that a point meets only those that pass by it.
 */
function insideOf(polygon, { bottom, top }) {
  const bands = Array.from({ length: 256 }, () => []);
  const bandOf = (y) => clamp(Math.floor(((y - bottom) / (top - bottom)) * 256), 0, 255) || 0;
  let [x1, y1] = polygon[polygon.length - 1];
  for (const [x2, y2] of polygon) {
    for (let band = bandOf(Math.min(y1, y2)); band <= bandOf(Math.max(y1, y2)); band++) bands[band].push([x1, y1, x2, y2]);
    [x1, y1] = [x2, y2];
  }
  const flat = bands.map((edges) => Float64Array.from(edges.flat()));
  return (x, y) => {
    const edges = flat[bandOf(y)];
    let inside = false;
    for (let at = 0; at < edges.length; at += 4) {
      const ya = edges[at + 1];
      const yb = edges[at + 3];
      const crosses = ya > y !== yb > y && x < ((edges[at] - edges[at + 2]) * (y - yb)) / (ya - yb) + edges[at + 2];
      if (crosses) inside = !inside;
    }
    return inside;
  };
}

/**
 * A drawn line as a polygon of less than `limit` letters of JSON: corners that matter least go first (Visvalingam and
 * Whyatt 1993: the smallest triangle with its neighbours), and coordinates are rounded to `decimals`.
 */
function simplifyPolygon(path, decimals, limit = 900) {
  const corners = path.map(([x, y]) => [Number(x.toFixed(decimals)), Number(y.toFixed(decimals))]);
  const area = (a, b, c) => Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]));
  while (corners.length > 3) {
    const most = JSON.stringify(corners).length;
    const free = corners.length > 400 ? 60 : 1;
    if (most <= limit && corners.length <= 64) break;
    for (let times = 0; times < free && corners.length > 3; times++) {
      let least = Infinity;
      let which = 0;
      for (let at = 0; at < corners.length; at++) {
        const size = area(corners.at(at - 1), corners[at], corners[(at + 1) % corners.length]);
        if (size < least) [least, which] = [size, at];
      }
      corners.splice(which, 1);
    }
  }
  return corners;
}
