// The line under the answers: what the last press did, what it would do, and the way back.

const TOLD_MS = 9000;

class Told {
  constructor(panel) {
    this.panel = panel;
    this.node = el("div", { class: "lr-told", role: "status", hidden: true });
  }

  /** A sentence; with `undo`, a button that takes the last press back. */
  say(words, { undo = false, bad = false, most = TOLD_MS } = {}) {
    this.asking = undefined;
    this.node.className = `lr-told ${bad ? "lr-bad" : ""}`;
    this.node.setAttribute("role", bad ? "alert" : "status");
    this.node.replaceChildren(el("span", { textContent: words }));
    if (undo) this.node.append(el("button", { type: "button", class: "lr-link", textContent: "Undo (U)", on: { click: (event) => this.panel.undo(event.timeStamp) } }));
    this.node.hidden = false;
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.hide(), most);
  }

  /** A question before something larger: Enter or the button does it, Escape leaves it. */
  ask(words, yes, go) {
    clearTimeout(this.hiding);
    this.asking = (pressed) => {
      this.hide();
      go(pressed);
    };
    const sure = el("button", { type: "button", class: "lr-done", textContent: yes, on: { click: (event) => this.asking?.(event.timeStamp) } });
    const leave = el("button", { type: "button", class: "ex-button", textContent: "Leave it", on: { click: () => this.hide() } });
    this.node.className = "lr-told lr-asking";
    this.node.setAttribute("role", "alertdialog");
    this.node.replaceChildren(el("span", { textContent: words }), sure, leave);
    this.node.hidden = false;
    sure.focus({ preventScroll: true }); // else the keys would go to the list that the question came from
  }

  /** What the classifier had thought of the picture that was just answered. */
  guess(words, agrees) {
    this.say(`Guess was: ${words} – ${agrees ? "agrees" : "differs"}`, { most: 5000 });
    this.node.classList.add(agrees ? "lr-agreed" : "lr-differed");
  }

  hide() {
    const focused = this.node.contains(deepFocus());
    this.asking = undefined;
    this.node.hidden = true;
    if (focused) this.panel.batch.grid.focus({ preventScroll: true });
  }

  /** True if the key was meant for a question that is open. */
  key(event) {
    if (!this.asking || (event.key !== "Enter" && event.key !== "Escape")) return false;
    if (event.key === "Enter") this.asking(event.timeStamp);
    else this.hide();
    return true;
  }
}
