// From pointers, wheels and keys to what they mean on a map.

const CLICK_SLACK = 4;

/** Where one looks: (x, y) is the middle of the view in map coordinates, k the pixels a map unit. */
class View {
  constructor() {
    Object.assign(this, { x: 0, y: 0, k: 300, width: 1, height: 1, home: { x: 0, y: 0, k: 300 } });
  }

  toScreen(x, y) {
    return [(x - this.x) * this.k + this.width / 2, this.height / 2 - (y - this.y) * this.k];
  }

  toMap(sx, sy) {
    return [this.x + (sx - this.width / 2) / this.k, this.y - (sy - this.height / 2) / this.k];
  }

  bounds(margin = 0) {
    const [left, top] = this.toMap(-margin, -margin);
    const [right, bottom] = this.toMap(this.width + margin, this.height + margin);
    return { left, right, bottom, top };
  }

  setHome({ left, right, bottom, top }) {
    const k = Math.min(this.width / Math.max(right - left, 1e-6), this.height / Math.max(top - bottom, 1e-6)) * 0.92;
    this.home = { x: (left + right) / 2, y: (bottom + top) / 2, k: Math.min(k, 1e6) };
  }

  get zoom() {
    return this.k / this.home.k;
  }

  zoomBy(factor, sx, sy) {
    const k = clamp(this.k * factor, this.home.k * 0.5, this.home.k * 4000);
    const [mx, my] = this.toMap(sx, sy);
    this.k = k;
    this.x = mx - (sx - this.width / 2) / k;
    this.y = my + (sy - this.height / 2) / k;
    this.keepNear();
  }

  panBy(dx, dy) {
    this.x -= dx / this.k;
    this.y += dy / this.k;
    this.keepNear();
  }

  /** The map cannot be lost from sight: its middle stays within one screen of the view. */
  keepNear() {
    const reachX = this.width / this.home.k / 2 + this.width / this.k / 4;
    const reachY = this.height / this.home.k / 2 + this.height / this.k / 4;
    this.x = clamp(this.x, this.home.x - reachX, this.home.x + reachX);
    this.y = clamp(this.y, this.home.y - reachY, this.home.y + reachY);
  }
}

/**
 * Listens on `surface`. `act` answers: lassoing(event) → bool, pan(dx, dy), zoom(factor, x, y), hover(x, y, touch), leave(),
 * click(x, y), home(), lasso(path, done).
 */
class Gestures {
  constructor(surface, act) {
    this.surface = surface;
    this.act = act;
    this.pointers = new Map();
    const on = (type, listener, options) => surface.addEventListener(type, listener.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.cancel);
    on("pointerleave", () => { if (!this.pointers.size) act.leave(); });
    on("wheel", this.wheel, { passive: false });
    on("dblclick", (event) => { if (!act.lassoing()) act.home(event.offsetX, event.offsetY); });
    on("contextmenu", (event) => { if (this.path) event.preventDefault(); });
  }

  place(event) {
    const box = this.surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (event.button !== 0) return;
    this.surface.setPointerCapture(event.pointerId);
    const [x, y] = this.place(event);
    this.pointers.set(event.pointerId, { x, y });
    if (this.pointers.size === 1) {
      this.start = [x, y];
      this.moved = false;
      this.path = this.act.lassoing(event) ? [[x, y]] : null;
      if (event.shiftKey) event.preventDefault(); // no text is marked meanwhile
    } else if (this.path) {
      this.act.lasso(null, true);
      this.path = null;
    }
  }

  move(event) {
    const [x, y] = this.place(event);
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) {
      this.act.hover(x, y, event.pointerType === "touch");
      return;
    }
    if (Math.hypot(x - this.start[0], y - this.start[1]) > CLICK_SLACK) this.moved = true;
    if (this.pointers.size === 2) this.pinch(event.pointerId, x, y);
    else if (this.path) this.draw(x, y);
    else if (this.moved) this.act.pan(x - pointer.x, y - pointer.y);
    Object.assign(pointer, { x, y });
  }

  draw(x, y) {
    const [lastX, lastY] = this.path[this.path.length - 1];
    if (Math.hypot(x - lastX, y - lastY) < 2) return;
    this.path.push([x, y]);
    this.act.lasso(this.path, false);
  }

  pinch(id, x, y) {
    this.moved = true;
    const moving = this.pointers.get(id);
    const other = [...this.pointers].find(([each]) => each !== id)[1];
    const before = Math.hypot(moving.x - other.x, moving.y - other.y);
    const after = Math.hypot(x - other.x, y - other.y);
    this.act.pan((x - moving.x) / 2, (y - moving.y) / 2);
    if (before > 8 && after > 8) this.act.zoom(after / before, (x + other.x) / 2, (y + other.y) / 2);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size) return;
    const path = this.path;
    this.path = null;
    if (path && path.length > 2) this.act.lasso(path, true);
    else if (path) this.act.lasso(null, true);
    if (!this.moved) this.act.click(...this.place(event));
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    if (this.path) this.act.lasso(null, true);
    this.path = null;
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const strength = event.ctrlKey ? 0.012 : 0.0022; // a trackpad's pinch comes as small steps with ctrl
    this.act.zoom(Math.exp(-clamp(event.deltaY * lines, -240, 240) * strength), ...this.place(event));
  }
}
