// What the others do at this question, asked for every second while the page is seen; a held picture stays held
// as long as somebody sits here.

const NEWS_MS = 1000;
const NEWS_SLOW_MS = 10000;
const HOLD_MS = 20000;
const AWAY_MS = 120000;
const SORT_MS = 2000;
const SIGNS = ["keydown", "pointerdown", "pointermove"];

class News {
  constructor(panel) {
    this.panel = panel;
    this.after = 0;
    this.done = new Set(); // answered by others since this page was opened
    this.node = el("span", { class: "lr-here ex-quiet", role: "status", hidden: true });
    this.sign = () => { this.signed = performance.now(); };
    this.seen = () => { if (document.visibilityState === "visible") this.ask(); };
    this.sign();
    for (const name of SIGNS) window.addEventListener(name, this.sign, { passive: true });
    document.addEventListener("visibilitychange", this.seen);
  }

  /** From now on of the question that the panel shows. */
  attach() {
    this.after = this.panel.data.seq;
    this.done.clear();
    this.held = performance.now();
    this.node.hidden = true;
    this.wait(NEWS_MS);
  }

  wait(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), ms);
  }

  async ask() {
    const { panel } = this;
    clearTimeout(this.timer);
    if (document.visibilityState !== "visible") return;
    const now = performance.now();
    const hold = now - this.held > HOLD_MS && now - this.signed < AWAY_MS;
    if (hold) this.held = now;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    try {
      const query = { question: panel.data.question.id, after: this.after, hold: hold ? 1 : undefined };
      const news = await getJson(address(panel.data.dataset, "news.json", query), asking.signal);
      if (this.asking !== asking) return;
      this.take(news);
      this.wait(NEWS_MS);
    } catch (error) {
      if (this.asking === asking && error.name !== "AbortError" && error.status !== 403 && error.status !== 404) this.wait(NEWS_SLOW_MS);
    }
  }

  take({ seq, here, counts, done = [], others }) {
    const { panel } = this;
    this.node.hidden = here < 2;
    this.node.textContent = here < 2 ? "" : `${counting.format(here)} people are here`;
    this.after = Math.max(this.after, seq);
    if (!counts) return;
    if (seq >= panel.base.seq) panel.base = { counts, seq };
    const before = this.done.size;
    for (const uid of done) this.done.add(uid);
    panel.paint();
    if (this.done.size > before) panel.batch.leftToOthers();
    if (others) this.sort();
  }

  /** The order follows the others' answers, too, though not each of them by itself. */
  sort() {
    const due = SORT_MS - (performance.now() - (this.sorted ?? -SORT_MS));
    clearTimeout(this.sorting);
    if (due > 0) {
      this.sorting = setTimeout(() => this.sort(), due);
      return;
    }
    this.sorted = performance.now();
    this.panel.sorted.refresh();
  }

  destroy() {
    clearTimeout(this.timer);
    clearTimeout(this.sorting);
    this.asking?.abort();
    this.asking = undefined;
    for (const name of SIGNS) window.removeEventListener(name, this.sign);
    document.removeEventListener("visibilitychange", this.seen);
  }
}
