// The labelling panel. A press is painted in the same frame, stored by a POST, and sorted anew, without a rerun.

const labellers = new WeakMap();
class Labeller {
  constructor(root) {
    this.root = root;
    this.drafts = new Map(); // uid → classes marked and not yet kept, where several may be true
    this.told = new Told(this);
    this.bar = new ClassBar(this);
    this.batch = new Batch(this);
    this.sorted = new Sorted(this);
    this.news = new News(this);
    this.build();
    this.onKey = this.onKey.bind(this);
    window.addEventListener("keydown", this.onKey, { capture: true });
  }

  build() {
    this.undoButton = iconButton("undo", "Take the last answer back (U)", "", (event) => this.undo(event.timeStamp));
    this.redoButton = iconButton("redo", "Give it again (R)", "", (event) => this.redo(event.timeStamp));
    this.saved = el("button", { type: "button", class: "lr-saved", role: "status", on: { click: () => this.queue.flush() } });
    const others = SPECIAL.map((each) => el("button", { type: "button", class: "lr-other", title: each.title, data: { value: each.value },
      on: { click: (event) => this.answer({ value: each.value, class_ids: [] }, event.timeStamp) } }, el("kbd", { class: "ex-key", textContent: each.key }), each.words));
    this.others = el("div", { class: "lr-others" }, ...others);
    this.turns = el("div", { class: "lr-turns" }, this.undoButton, this.redoButton, this.saved, this.news.node);
    const head = el("div", { class: "lr-answers" }, this.bar.node, el("div", { class: "lr-second" }, this.others, this.told.node, this.turns));
    this.keys = el("p", { class: "lr-keys ex-quiet" });
    this.root.replaceChildren(el("div", { class: "lr" }, head, this.batch.node, this.keys, this.sorted.node));
  }

  showKeys() {
    this.keys.replaceChildren(...keyHelp(this.data));
  }

  update({ data, setTriggerValue }) {
    const before = this.data;
    this.data = data;
    this.trigger = setTriggerValue;
    const name = JSON.stringify([data.dataset, data.question.id, data.space, data.filter]);
    const fresh = name !== this.name;
    if (fresh) this.attach(name);
    this.base = { counts: Object.fromEntries(data.question.classes.map((each) => [each.id, each.count ?? 0])), seq: data.seq };
    if (fresh || JSON.stringify(before.question) !== JSON.stringify(data.question)) this.showClasses();
    const offered = (of) => JSON.stringify([of.policies, of.policy, of.set]);
    if (fresh || offered(before) !== offered(data)) this.batch.setPolicies(data.policies, data.policy, data.set);
    const another = data.set && !fresh && before.set?.id !== data.set.id;
    if (fresh || another) {
      this.batch.items = [];
      this.batch.load();
      this.sorted.cards = new Map();
      this.sorted.refresh();
    } else if (data.seq > before.seq) {
      this.sorted.refresh(); // somebody else has answered
    }
    if (before && before.showGuess !== data.showGuess) {
      this.batch.shown = undefined;
      this.batch.focus(this.batch.at);
    }
    this.paint();
  }

  attach(name) {
    this.name = name;
    this.queue?.listeners.delete(this.listener);
    this.queue = queueOf(this.data.dataset, this.data.question.id);
    this.book = this.queue.book ??= new AnswerBook(this.queue);
    this.drafts.clear();
    this.listener = {
      stored: (seqs, many) => this.stored(seqs, many),
      refused: (event, why) => this.refused(event, why),
      moved: () => this.showSaved(),
    };
    this.queue.listeners.add(this.listener);
    this.queue.flush();
    this.news.attach();
    this.remember();
  }

  /** What was answered before this page was opened can be taken back, too. */
  async remember() {
    const { book, data } = this;
    if (book.restored) return;
    try {
      await this.queue.settled(2000);
      const { items } = await getJson(address(data.dataset, "recent.json", { question: data.question.id }));
      book.restore(items, { blind: false, space: data.space });
      if (this.book === book) this.paint();
    } catch (error) {
      console.debug("the last answers cannot be taken back by a key", error.message);
    }
  }

  seq() {
    return Math.max(this.data.seq, this.queue.latest, this.news.after);
  }

  showClasses() {
    this.bar.show(this.data.question);
    this.sorted.setClasses(this.data.question.classes);
    this.showKeys();
    this.batch.paint();
  }

  paint() {
    this.bar.counts(this.book.counts(this.base.counts, this.base.seq));
    this.undoButton.disabled = !this.book.done.length;
    this.redoButton.disabled = !this.book.undone.length;
    this.showSaved();
  }

  /** Where several may be true, the buttons show what is marked for the picture in focus. */
  showMarks() {
    const item = this.batch.items[this.batch.at];
    if (this.several()) this.bar.mark(item ? this.draftOf(item) : new Set());
    else this.bar.mark(undefined);
  }

  several() {
    return this.data?.question.kind === "attributes";
  }

  draftOf(item) {
    return this.drafts.get(item.uid) ?? new Set(classesOf(this.book.of(item)));
  }

  showSaved() {
    const { waiting, trouble, latest } = this.queue;
    const many = waiting.length > 1 ? ` (${waiting.length})` : "";
    const state = trouble ? "retrying" : waiting.length ? "saving" : "saved";
    const words = { retrying: `Not saved, trying again${many}`, saving: `Saving…${many}`, saved: latest ? "Saved" : "" };
    this.saved.dataset.state = state;
    this.saved.textContent = this.queue.shut ? `Not saved. ${trouble}` : words[state];
    this.saved.title = trouble ? `${trouble} The answers are kept in this browser. Click to try now.` : "";
    this.saved.disabled = state !== "retrying";
  }

  /** How an answer looks: its colour and its words. */
  lookOf(answer) {
    if (!answer) return { colour: "transparent", words: "" };
    if (answer.value !== "yes") return { colour: "var(--ex-quiet)", words: SPECIAL.find((each) => each.value === answer.value)?.words ?? answer.value };
    const found = this.data.question.classes.filter((each) => classesOf(answer).includes(each.id));
    const nothing = this.several() ? "none of them" : "answered";
    return { colour: found[0]?.colour ?? "var(--ex-quiet)", words: found.map((each) => each.name).join(", ") || nothing };
  }

  guessOf(item) {
    if (!item.guess) return undefined;
    const ids = item.guess.class_ids ?? [item.guess.class_id];
    const found = this.data.question.classes.filter((each) => ids.includes(each.id));
    if (!found.length && !item.guess.class_ids) return undefined;
    return { words: `${found.map((each) => each.name).join(", ") || "none of them"}, ${item.guess.p >= SURE ? "sure" : "not sure"}` };
  }

  /** Whether the guess was the answer that was given; undefined where there was no guess. */
  agrees(item, answer) {
    if (!item.guess || answer?.value !== "yes") return undefined;
    const ids = item.guess.class_ids ?? [item.guess.class_id];
    return String([...ids].sort()) === String([...classesOf(answer)].sort());
  }

  onSimilar() {
    return this.data.similar ? (uid) => this.trigger("similar", { uid }) : undefined;
  }

  policyChanged(policy) {
    if (this.data.tellPolicy) this.trigger("policy", { policy });
  }

  askResults() {
    this.trigger("results", { at: Date.now() });
  }

  /** A class was pressed: an answer, a mark where several may be true, or the class that a picture is an example of. */
  press(classId, pressed) {
    if (this.exampling) {
      const { uid } = this.exampling;
      this.exampling = undefined;
      this.told.say("It is an example now: the ? beside the answer shows it.");
      this.trigger("example", { uid, class_id: classId });
      return;
    }
    if (!this.several()) this.answer({ value: "yes", class_ids: [classId] }, pressed);
    else if (this.sorted.focusedItem()) this.markSorted(classId, pressed);
    else if (this.batch.whole) this.answer({ value: "yes", class_ids: [classId], no_ids: [] }, pressed);
    else this.mark(classId);
  }

  mark(classId) {
    const targets = this.batch.targets();
    if (!targets.length) return;
    const on = !this.draftOf(targets[0]).has(classId);
    for (const item of targets) {
      const draft = new Set(this.draftOf(item));
      if (on) draft.add(classId);
      else draft.delete(classId);
      this.drafts.set(item.uid, draft);
    }
    this.batch.paint();
  }

  /** In the sorted pictures a key says yes or no for one class at once: nothing there is being worked through. */
  markSorted(classId, pressed) {
    const item = this.sorted.focusedItem();
    const off = classesOf(this.book.of(item)).includes(classId);
    this.answer({ value: "yes", class_ids: off ? [] : [classId], no_ids: off ? [classId] : [] }, pressed);
  }

  /** What is marked is the answer: a yes or a no for every class. */
  finish(pressed) {
    if (!this.several() || this.sorted.focusedItem() || this.batch.whole) return;
    const ids = this.data.question.classes.map((each) => each.id);
    const drafts = new Map(this.batch.targets().map((item) => [item.uid, this.draftOf(item)]));
    this.give(this.batch.targets(), ({ uid }) => ({ value: "yes", class_ids: ids.filter((id) => drafts.get(uid).has(id)), no_ids: ids.filter((id) => !drafts.get(uid).has(id)) }), pressed);
  }

  answer(answer, pressed) {
    const corrected = this.sorted.focusedItem();
    if (corrected) this.give([{ ...corrected, policy: "review", probability: null }], () => answer, pressed, true);
    else if (this.batch.whole) this.askWhole(answer);
    else this.give(this.batch.targets(), () => answer, pressed);
  }

  give(targets, answerFor, pressed, corrected = false) {
    if (!targets.length || (this.batch.waiting && !corrected)) return;
    for (const item of targets) this.drafts.delete(item.uid);
    this.book.give(targets, answerFor, { blind: !this.data.showGuess, space: this.data.space }, pressed);
    for (const item of targets) item.again = undefined; // asked again and answered again
    if (corrected) this.batch.paint();
    else this.batch.advance();
    this.sorted.paint();
    this.paint();
    this.tellGiven(targets, answerFor);
  }

  tellGiven(targets, answerFor) {
    const answer = answerFor(targets[0]);
    if (targets.length > 1) {
      this.told.say(`“${this.lookOf(answer).words}” for ${pictures(targets.length)}.`, { undo: true });
      return;
    }
    const guess = this.guessOf(targets[0]);
    const agrees = this.agrees(targets[0], answer);
    if (guess && agrees !== undefined) this.told.guess(guess.words, agrees);
    else this.told.hide();
  }

  /** Pictures of the sorted ones, as they are on the screen. */
  giveThese(items, classId, pressed) {
    const answer = { value: "yes", class_ids: [classId], ...(this.several() ? { no_ids: [] } : {}) };
    this.book.give(items, () => answer, { blind: false, space: this.data.space }, pressed);
    this.manyGiven();
    this.tellGiven(items.length > 1 ? items : [{}], () => answer);
  }

  giveMany(bulk, shown, classId, pressed, value = "yes") {
    const answer = { value, class_ids: classId ? [classId] : [], ...(this.several() && classId ? { no_ids: [] } : {}) };
    const blind = bulk.of !== "top" && !this.data.showGuess;
    const open = shown.filter((item) => !this.book.of(item));
    const entry = this.book.giveMany(bulk, open, answer, { blind, space: this.data.space, filter: this.data.filter }, pressed);
    entry.words = this.lookOf(answer).words;
    this.manyGiven();
  }

  manyGiven() {
    this.batch.clearSelection();
    this.batch.paint();
    this.sorted.paint();
    this.paint();
  }

  /** How many pictures a set has that would get the answer; nothing is stored. */
  tryMany(bulk, classId) {
    const { data } = this;
    return postJson(address(data.dataset, "answers"), { question: data.question.id, space: data.space, filter: data.filter, bulk, class_id: classId, dry: true });
  }

  /** A set of which some pictures are not on the screen: how many are meant is said first. */
  async askWhole(answer) {
    const [of, ...rest] = this.data.set.id.split(":");
    const bulk = of === "cluster" ? { of, method: rest[0], id: rest.slice(1).join(":") } : { of, id: rest.join(":") };
    const [classId] = answer.class_ids ?? [];
    try {
      const found = await this.tryMany(bulk, classId);
      const kept = found.left ? ` The ${counting.format(found.left)} that have an answer keep it.` : "";
      this.told.ask(`${pictures(found.count)} get the answer “${this.lookOf(answer).words}”.${kept}`, `Answer ${counting.format(found.count)}`,
        (pressed) => this.giveMany(bulk, this.batch.items, classId ?? null, pressed, answer.value));
    } catch (error) {
      this.told.say(error.message, { bad: true });
    }
  }

  undo(pressed) {
    this.turned(this.book.undo(pressed), "Taken back");
  }

  redo(pressed) {
    this.turned(this.book.redo(pressed), "Given again");
  }

  turned(entry, words) {
    if (!entry) return;
    const { item } = entry.parts[0] ?? {};
    this.told.hide();
    if (entry.batch) this.batch.load();
    else if (/^(review|top\b)/.test(item.policy ?? "")) this.batch.paint();
    else this.batch.bring(item);
    const n = entry.batch ? entry.count ?? entry.parts.length : entry.parts.length;
    if (n > 1) this.told.say(`${words}: ${counting.format(n)} answers.`);
    this.sorted.paint();
    this.paint();
  }

  stored(seqs, many) {
    this.book.stored(seqs);
    this.sorted.refresh();
    if (many?.event.bulk) this.storedMany(many);
    if (!this.data.tellChanged) return;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.trigger("changed", { seq: this.queue.latest }), 3000);
  }

  storedMany({ event, count, left }) {
    const entry = this.book.done.find((each) => each.batch === event.client_event_id);
    if (entry) entry.count = count;
    const kept = left ? ` ${counting.format(left)} kept the answer they had.` : "";
    this.told.say(`“${entry?.words ?? "answered"}” for ${pictures(count)}.${kept}`, { undo: Boolean(entry) });
    if (this.batch.set) this.batch.load();
  }

  refused(event, why) {
    this.book.refused(event);
    this.told.say(`An answer was not taken: ${why}`, { bad: true, most: 12000 });
    this.batch.paint();
    this.sorted.paint();
    this.paint();
  }

  learned(order) {
    if (order.counts) this.base = { counts: order.counts, seq: order.seq };
    this.paint();
  }

  /** Keys work wherever the page's focus is, except in fields and other components; ours come before Streamlit's. */
  onKey(event) {
    const all = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "a";
    if (PAGE.lightbox || (event.ctrlKey && !all) || (event.metaKey && !all) || event.altKey || typing(event)) return;
    const inside = event.composedPath().includes(this.root);
    if (!inside && document.activeElement !== document.body) return;
    if (!this.root.isConnected || !(all ? this.selectAll() : actOn(this, event))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  selectAll() {
    this.batch.selectAll();
    return true;
  }

  /** The picture in focus becomes an example of the class that is pressed next. */
  example() {
    this.exampling = this.sorted.focusedItem() ?? this.batch.items[this.batch.at];
    if (this.exampling) this.told.say("Which answer does this picture show well? Press it (Esc leaves it).", { most: 30000 });
  }

  destroy() {
    window.removeEventListener("keydown", this.onKey, { capture: true });
    this.queue?.listeners.delete(this.listener);
    clearTimeout(this.telling);
    clearTimeout(this.told.hiding);
    this.sorted.destroy();
    this.news.destroy();
  }
}

export default function (component) {
  return mountOnce(labellers, component, (root) => new Labeller(root));
}
