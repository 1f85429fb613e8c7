// The filter on the map: what it leaves out is no number in the points that are drawn, counted and hit.

const Filtering = {
  /** The filter's bits, a picture each; "" lets everything through. Answers change them: they are asked for anew. */
  async maskOf(filter) {
    if (!filter) return null;
    const answer = await request(`${this.base}shown.bin?${new URLSearchParams({ f: filter })}`, { priority: "high" });
    return new Uint8Array(await answer.arrayBuffer());
  },

  /** What the panel beside the map says; from then on the page's own word, which comes later, is not needed. */
  told({ dataset, filter }) {
    if (dataset !== this.data?.dataset) return;
    this.beside = filter;
    if (this.points) this.refilter(filter);
  },

  /** The same points in the same places and colours, with others left out. */
  async refilter(filter) {
    const { points } = this;
    const asked = (this.maskAsked = {});
    try {
      const began = performance.now();
      const mask = await this.maskOf(filter);
      if (this.maskAsked !== asked || points !== this.points) return;
      this.leaveOut(mask);
      this.card.hide();
      this.renderer.setPoints(points);
      this.legend.setCounts(points.counts());
      this.cover(points.present ? "" : "No picture passes the filter.");
      this.repaint();
      this.settle();
      this.surface.dataset.filterMs = (performance.now() - began).toFixed(1);
    } catch (error) {
      if (this.maskAsked === asked) this.say(error.message);
    }
  },

  /** Points without a bit in `mask` (the first of a byte its highest) become no number; the whole map keeps its place. */
  leaveOut(mask) {
    const { points } = this;
    const { bounds } = points;
    points.xy = this.whole;
    if (mask) {
      points.xy = new Float32Array(this.whole);
      for (let row = 0; row < points.n; row++) if (!(mask[row >> 3] & (128 >> (row & 7)))) points.xy[2 * row] = NaN;
    }
    points.present = 0;
    points.cells = undefined;
    points.measure();
    points.bounds = bounds;
    this.surface.dataset.present = String(points.present);
  },
};

Object.assign(MapView.prototype, Filtering);
