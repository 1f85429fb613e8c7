// The card beside the pointer: the picture of the nearest dot, its caption and its class.

class HoverCard {
  constructor() {
    this.frame = el("span", { class: "mp-card-frame" });
    this.caption = el("div", { class: "mp-card-caption" });
    this.kind = el("div", { class: "mp-card-class" });
    this.node = el("div", { class: "mp-card", hidden: true, role: "status" }, this.frame, this.caption, this.kind);
    this.ring = el("div", { class: "mp-ring", hidden: true });
    this.row = -1;
  }

  hide() {
    this.row = -1;
    this.node.hidden = this.ring.hidden = true;
    clearTimeout(this.asking);
  }

  /** `picture`: {hash, dataset, space, gen, kind: {label, colour} | undefined}. */
  show(row, picture, view, x, y, plain) {
    this.ring.hidden = !plain;
    this.ring.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    if (row !== this.row) {
      this.row = row;
      this.fill(row, picture);
    }
    this.node.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const left = x + 18 + width < view.width ? x + 18 : x - 18 - width;
    const top = clamp(y - height / 2, 6, Math.max(6, view.height - height - 6));
    this.node.style.transform = `translate(${Math.max(6, left).toFixed(1)}px, ${top.toFixed(1)}px)`;
  }

  fill(row, { hash, dataset, space, gen, kind }) {
    this.frame.replaceChildren(thumbImage(dataset, hash, ""));
    this.frame.firstChild.loading = "eager";
    this.caption.textContent = "";
    this.kind.replaceChildren();
    if (kind) {
      const dot = el("span", { class: "mp-dot" });
      dot.style.background = kind.colour;
      this.kind.append(dot, kind.label);
    }
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      try {
        const details = await getDetails(dataset, space, { row, gen });
        if (this.row === row) this.caption.textContent = details.caption || details.uid;
      } catch (error) {
        if (this.row === row) this.caption.textContent = error.message;
      }
    }, 110); // a pointer that only passes by asks for nothing
  }
}
