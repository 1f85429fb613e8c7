// The map of a collection: dots, pictures, names, legend, lasso.

const HOVER_REACH = 9;
const WALK = 200;

class MapView {
  constructor(root) {
    this.root = root;
    this.view = new View();
    this.lassoOn = false;
    this.budget = 250000;
    this.legend = new Legend((off) => this.filtered(off));
    this.card = new HoverCard();
    this.names = new GroupNames();
    this.thumbs = new Thumbnails(() => ({
      points: this.points, hashes: this.hashes, dataset: this.data.dataset, colourOf: (row) => this.colourOf(row),
    }));
    this.build();
    this.listen();
  }

  build() {
    this.surface = el("div", { class: "mp-surface", tabIndex: 0, role: "application" });
    this.outline = el("canvas", { aria: { hidden: "true" } });
    this.canvas = el("canvas", { aria: { hidden: "true" } });
    this.lassoButton = iconButton("lasso", "Select pictures by drawing around them (L; or hold shift and drag)", "", () => this.setLasso(!this.lassoOn));
    this.thumbsButton = iconButton("pictures", "Show pictures instead of dots when there is room (P)", "", () => this.setThumbs(!this.thumbs.on));
    const zoom = el("div", { class: "mp-zoom" },
      iconButton("plus", "Come nearer (+)", "", () => this.glide(1.8)),
      iconButton("minus", "Go farther (−)", "", () => this.glide(1 / 1.8)),
      iconButton("home", "Show the whole map (0)", "", () => this.goHome()));
    const tools = el("div", { class: "mp-tools", role: "toolbar" }, this.lassoButton, zoom, this.thumbsButton);
    tools.setAttribute("aria-label", "Map tools");
    this.words = el("span", { role: "status" });
    this.clearButton = el("button", { type: "button", class: "mp-link", textContent: "Clear (Esc)", hidden: true, on: { click: () => this.clear() } });
    this.status = el("div", { class: "mp-status" }, this.words, this.clearButton);
    this.hint = el("div", { class: "mp-hint", hidden: true });
    this.over = el("div", { class: "mp-over" });
    this.stage = el("div", { class: "mp-stage" }, this.canvas, this.thumbs.node, this.names.node, this.outline, this.surface,
      this.card.ring, this.card.node, tools, this.status, this.hint, this.over);
    this.frame = el("div", { class: "mp" }, this.stage, this.legend.node);
    this.root.replaceChildren(this.frame);
    this.outline.style.pointerEvents = "none";
    this.setThumbs(true);
  }

  listen() {
    new Gestures(this.surface, {
      lassoing: (event) => this.lassoOn || (event?.shiftKey === true && this.data.lasso),
      pan: (dx, dy) => { this.view.panBy(dx, dy); this.moving(); },
      zoom: (factor, x, y) => { this.view.zoomBy(factor, x, y); this.moving(); },
      hover: (x, y, touch) => { if (!touch) this.hover(x, y); },
      leave: () => this.card.hide(),
      click: (x, y) => this.click(x, y),
      home: (x, y) => { if (this.rowAt(x, y) < 0) this.goHome(); },
      lasso: (path, done) => this.lasso(path, done),
    });
    this.frame.addEventListener("keydown", (event) => this.onKey(event));
    this.onScores = (event) => this.newScores(event.detail);
    window.addEventListener("explorer:scores", this.onScores);
    this.onFilter = (event) => this.told(event.detail);
    window.addEventListener("explorer:filter", this.onFilter);
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.frame);
    this.listenForLoss();
  }

  listenForLoss() {
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.renderer.restore(this.points, this.palette());
      this.draw();
    });
  }

  update({ data, setTriggerValue }) {
    const before = this.data;
    this.data = data;
    this.trigger = setTriggerValue;
    this.frame.style.setProperty("--height", `${data.height}px`);
    this.lassoButton.hidden = !data.lasso;
    const base = address(data.dataset, `map/${encodeURIComponent(data.space)}/${encodeURIComponent(data.generation)}/`);
    this.base = base;
    const place = JSON.stringify([base, data.n]);
    const colour = JSON.stringify(data.colour);
    if (place !== this.place) {
      this.place = place;
      this.colourSign = colour;
      this.load();
    } else if (this.points) {
      if (data.filter !== before.filter && this.beside === undefined) this.refilter(data.filter);
      if (colour !== this.colourSign) {
        this.colourSign = colour;
        this.loadColours(data.colour.v);
      } else if (JSON.stringify(before.hidden) !== JSON.stringify(data.hidden) && !this.sameHidden(data.hidden)) {
        this.legend.show(data.colour, this.points.counts(), data.hidden);
        this.applyOff();
      } else {
        this.repaint(); // the theme may have changed
      }
      this.takeSelection();
    }
    const labels = JSON.stringify(data.labels);
    if (labels !== this.labels) {
      this.labels = labels;
      this.names.show(data.labels);
      this.draw();
    }
  }

  /** Under what the place that one looks at is remembered. */
  get viewKey() {
    return this.base;
  }

  async load() {
    const place = this.place;
    this.points = this.hashes = undefined;
    this.thumbs.clear();
    this.card.hide();
    if (this.data.n === 0) {
      this.cover("There are no pictures on this map yet.");
      return;
    }
    this.cover("Drawing the map…", { busy: true });
    const filter = this.beside ?? this.data.filter;
    const version = this.data.colour.v;
    const colours = this.askColours(version);
    colours.catch(() => {}); // told where they are waited for
    try {
      const [buffer, mask] = await Promise.all([getBuffer(`${this.base}points.bin`), this.maskOf(filter)]);
      const xy = new Float32Array(buffer);
      if (place !== this.place) return;
      if (xy.length !== 2 * this.data.n) throw new HttpError("The map has been made anew meanwhile; reload the page.", 409);
      this.points = new Points((this.whole = xy));
      this.leaveOut(mask);
      if ((this.beside ?? filter) !== filter) this.refilter(this.beside);
      this.renderer ??= makeRenderer(this.canvas);
      this.canvas = this.renderer.canvas;
      this.surface.dataset.renderer = this.renderer.kind;
      this.renderer.setPoints(this.points);
      this.resize(true);
      await this.loadColours(this.data.colour.v, this.data.colour.v === version ? colours : undefined);
      if (place !== this.place) return;
      this.takeSelection(true);
      if (this.points.present) this.cover("");
      else this.cover("No picture passes the filter.");
      this.surface.dataset.ready = String(this.points.n);
      await new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)));
      this.surface.dataset.frame = performance.now().toFixed(0);
      const hashes = new Uint8Array(await getBuffer(`${this.base}hashes.bin`));
      if (place !== this.place) return;
      this.hashes = hashes;
      this.settle();
    } catch (error) {
      if (place === this.place) this.cover(error.message, { bad: true, again: () => this.load() });
    }
  }

  async askColours(version = this.data.colour.v) {
    const { kind, by } = this.data.colour;
    return kind === "none" ? undefined : getBuffer(`${this.base}colours.bin?${new URLSearchParams({ by, v: version })}`);
  }

  /** Colours come alone when only they have changed; the points stay where they are. */
  async loadColours(version, coming) {
    const { colour } = this.data;
    const points = this.points;
    const asked = (this.colourAsked = {});
    if (colour.kind !== "none") {
      try {
        const codes = new Uint8Array(await (coming ?? this.askColours(version)));
        if (this.colourAsked !== asked || points !== this.points) return;
        points.codes = codes.length === points.n ? codes : new Uint8Array(points.n).fill(255);
      } catch (error) {
        if (this.colourAsked === asked) this.say(error.message);
        return;
      }
    } else {
      points.codes = new Uint8Array(points.n).fill(255);
    }
    const again = this.colourShown === this.colourSign && points === this.colouredPoints;
    if (again) this.legend.setCounts(points.counts());
    else this.legend.show(colour, points.counts(), this.data.hidden);
    this.colourShown = this.colourSign;
    this.colouredPoints = points;
    points.off = this.legend.off;
    this.renderer.setCodes();
    this.repaint();
    this.settle();
  }

  newScores({ question, seq }) {
    const [kind, id] = (this.data?.colour.by ?? "").split(":");
    if (this.points && ["score", "answer", "guess"].includes(kind) && id === String(question)) this.loadColours(`live-${seq}`);
  }

  palette() {
    const style = getComputedStyle(this.root);
    const text = rgbOf(style.getPropertyValue("--st-text-color"), [28, 36, 35]);
    const back = rgbOf(style.getPropertyValue("--st-background-color"), [255, 255, 255]);
    const accent = rgbOf(style.getPropertyValue("--st-primary-color"), [15, 118, 110]);
    const mix = (part) => text.map((each, at) => Math.round(each * part + back[at] * (1 - part)));
    this.faint = mix(0.3);
    this.textColour = text;
    return (this.colours = paletteOf(this.data.colour, this.legend.off, mix(0.34), accent));
  }

  colourOf(row) {
    const at = 4 * this.points.codes[row];
    return `rgb(${this.colours[at]} ${this.colours[at + 1]} ${this.colours[at + 2]})`;
  }

  repaint() {
    this.renderer.setPalette(this.palette());
    this.thumbs.paint();
    this.tell();
    this.draw();
  }

  applyOff() {
    this.points.off = this.legend.off;
    this.card.hide();
    this.repaint();
    this.settle();
  }

  filtered() {
    this.applyOff();
    if (this.data.tellHidden) this.trigger("hidden", { labels: this.legend.hiddenLabels() });
  }

  sameHidden(labels) {
    return JSON.stringify([...labels].sort()) === JSON.stringify(this.legend.hiddenLabels().sort());
  }

  resize(fresh = false) {
    this.frame.classList.toggle("mp-narrow", this.frame.clientWidth < 640);
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2.5);
    const grown = width / this.view.width;
    Object.assign(this.view, { width, height });
    for (const canvas of [this.canvas, this.outline]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    if (!this.points) return;
    const wasHome = Math.abs(this.view.zoom - 1) < 0.01 && !fresh;
    this.view.setHome(this.points.bounds);
    const kept = PAGE.views.get(this.viewKey);
    if (fresh) Object.assign(this.view, kept ?? this.view.home);
    else if (wasHome) Object.assign(this.view, this.view.home);
    else if (grown > 0 && Number.isFinite(grown)) this.view.keepNear();
    this.draw();
    this.settle();
  }

  look() {
    const { view, points } = this;
    const ratio = this.canvas.width / view.width;
    const even = 2 * Math.sqrt((0.09 * view.width * view.height) / (Math.PI * Math.max(points.present, 1)));
    const size = clamp(clamp(even, points.n > 300000 ? 1.4 : 2.2, 8) * Math.max(view.zoom, 0.6) ** 0.42, 1.2, 11);
    const strength = points.present > 200000 ? 0.65 : points.present > 20000 ? 0.78 : 0.9;
    return { size: size * ratio, strength, faint: this.faint, faintness: points.present > 20000 ? 0.22 : 0.4 };
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame((now) => {
      this.drawing = undefined;
      if (!this.points || !this.renderer || !this.faint) return;
      if (this.inMotion && this.lastFrame) {
        const took = now - this.lastFrame;
        if (took > 45) this.budget = Math.max(60000, this.budget * 0.75);
        else if (took < 22) this.budget = Math.min(2e6, this.budget * 1.1);
      }
      this.lastFrame = this.inMotion ? now : undefined;
      this.renderer.draw(this.view, this.look(), this.inMotion ? Math.ceil(this.points.n / this.budget) : 1);
      this.thumbs.move(this.view);
      this.names.move(this.view);
    });
  }

  /** The view changes: draw what the time allows, and everything once it rests. */
  moving() {
    this.card.hide();
    this.inMotion = true;
    this.draw();
    const now = performance.now();
    if (now - (this.chosenAt ?? 0) > 120) {
      this.chosenAt = now;
      this.thumbs.choose(this.view, this.view.bounds());
    }
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.settle(), 130);
  }

  settle() {
    this.inMotion = false;
    if (!this.points) return;
    const { x, y, k } = this.view;
    PAGE.views.set(this.viewKey, { x, y, k });
    this.thumbs.choose(this.view, this.view.bounds());
    this.draw();
  }

  goTo(target) {
    cancelAnimationFrame(this.gliding);
    const { x, y, k } = this.view;
    const began = performance.now();
    const frame = (now) => {
      const t = calm() ? 1 : clamp((now - began) / 220, 0, 1);
      const eased = 1 - (1 - t) ** 3;
      this.view.k = k * (target.k / k) ** eased;
      this.view.x = x + (target.x - x) * eased;
      this.view.y = y + (target.y - y) * eased;
      this.moving();
      if (t < 1) this.gliding = requestAnimationFrame(frame);
    };
    this.gliding = requestAnimationFrame(frame);
  }

  glide(factor) {
    this.goTo({ x: this.view.x, y: this.view.y, k: clamp(this.view.k * factor, this.view.home.k * 0.5, this.view.home.k * 4000) });
  }

  goHome() {
    this.goTo(this.view.home);
  }

  rowAt(x, y) {
    if (!this.points) return -1;
    const pictured = this.thumbs.at(this.view, x, y);
    if (pictured >= 0) return pictured;
    const reach = Math.max(HOVER_REACH, this.look().size / 2);
    return this.points.nearest(...this.view.toMap(x, y), reach / this.view.k);
  }

  hover(x, y) {
    const row = this.lassoOn ? -1 : this.rowAt(x, y);
    this.surface.classList.toggle("mp-pointing", row >= 0);
    if (row < 0) {
      this.card.hide();
      return;
    }
    const { dataset, space, generation } = this.data;
    const kind = this.data.colour.kind === "category" ? this.legend.labelOf(this.points.codes[row]) : undefined;
    const hash = this.hashes ? hashName(this.hashes, row) : "";
    const [px, py] = this.view.toScreen(this.points.xy[2 * row], this.points.xy[2 * row + 1]);
    this.card.show(row, { hash, dataset, space, gen: generation, kind }, this.view, px, py, !this.thumbs.placed.has(row));
  }

  click(x, y) {
    const row = this.rowAt(x, y);
    if (row >= 0) this.open(row);
  }

  openMiddle() {
    const row = this.points?.nearest(this.view.x, this.view.y, Math.hypot(this.view.width, this.view.height) / this.view.k) ?? -1;
    if (row >= 0) this.open(row);
  }

  open(row) {
    this.card.hide();
    const { dataset, space, generation } = this.data;
    const entries = this.points.around(row, WALK).map((each) => ({ row: each, gen: generation, hash: this.hashes ? hashName(this.hashes, each) : "" }));
    const at = Math.max(0, entries.findIndex((entry) => entry.row === row));
    const onSimilar = this.data.similar ? (uid) => this.trigger("similar", { uid }) : undefined;
    openLightbox({ dataset, space, entries, at, themeFrom: this.root, onSimilar });
  }

  destroy() {
    cancelAnimationFrame(this.drawing);
    cancelAnimationFrame(this.gliding);
    clearTimeout(this.resting);
    clearTimeout(this.echo);
    this.resizing.disconnect();
    window.removeEventListener("explorer:scores", this.onScores);
    window.removeEventListener("explorer:filter", this.onFilter);
    this.renderer?.destroy();
  }
}
