// What has been answered on this page: the present answer of each picture, undo and redo, counts, timings.

const TIMINGS_KEPT = 1000;
const TELLING = /^(likely|finish|top|review|resolve)\b/; // ways of choosing that give the guess away

class AnswerBook {
  constructor(queue) {
    this.queue = queue;
    this.given = new Map(); // uid → {value, class_ids} or null for "taken back"
    this.done = [];
    this.undone = [];
    this.moves = []; // {id, from, to, seq}: changes of class counts the server may not know yet
    this.timings = new Map();
    for (const event of queue.recovered) {
      if (!forMany(event) && event.value !== "undo") this.set(event.uid, null, recoveredAnswer(event, this.given.get(event.uid)), event.client_event_id);
    }
  }

  /** The present answer of a picture: what was said here, else what the server said of it. */
  of(item) {
    const answer = this.given.has(item.uid) ? this.given.get(item.uid) : answerOf(item.answer);
    const old = item.again === "*" || classesOf(answer).includes(item.again);
    return item.again && old ? null : answer; // asked again: the old one does not count
  }

  /**
   * One answer for one or several pictures; taken back together. `answer`: {value, class_ids, no_ids?}: of a question
   * where several may be true, `no_ids` are those that are not, one event each. `answerFor(item)` gives it. `shared`:
   * blind and space; who sees pictures because of a guess is not blind to it.
   */
  give(items, answerFor, shared, pressed) {
    const batch = items.length > 1 || said(answerFor(items[0])).length > 1 ? newId() : null;
    const parts = items.map((item) => {
      const answer = answerFor(item);
      const policy = item.policy ?? "";
      const blind = shared.blind && !TELLING.test(policy);
      const about = { uid: item.uid, undoes: null, batch_id: batch, policy, probability: item.probability ?? null, ...shared, blind };
      const events = said(answer).map(([value, classId]) => ({ client_event_id: newId(), ...about, value, class_id: classId }));
      const before = this.of(item);
      const after = merged(before, answer);
      this.set(item.uid, before, after, events[0].client_event_id);
      return { item, before, answer: after, events };
    });
    const entry = { parts, shared };
    this.done.push(entry);
    this.undone = [];
    this.send(parts.flatMap((part) => part.events), pressed);
    return entry;
  }

  /** One answer for a set that the server knows; `items` are those of it on the screen. */
  giveMany(bulk, items, answer, shared, pressed) {
    const [[value, classId]] = said(answer);
    const event = { client_event_id: newId(), bulk, value, class_id: classId, ...shared };
    const parts = items.map((item) => ({ item, before: this.of(item), answer: merged(this.of(item), answer), events: [] }));
    for (const part of parts) this.given.set(part.item.uid, part.answer);
    const entry = { parts, shared, batch: event.client_event_id };
    this.done.push(entry);
    this.undone = [];
    this.send([event], pressed);
    return entry;
  }

  undo(pressed) {
    return this.turn(this.done, this.undone, pressed, "before");
  }

  redo(pressed) {
    return this.turn(this.undone, this.done, pressed, "answer");
  }

  /** Taking back is an event that undoes the last one of the chain: the answer, or the undo before it. */
  turn(from, to, pressed, side) {
    const entry = from.pop();
    if (!entry) return undefined;
    to.push(entry);
    if (entry.batch) {
      const turned = { client_event_id: newId(), undo_batch: entry.batch };
      entry.batch = turned.client_event_id;
      for (const part of entry.parts) this.put(part.item.uid, part[side]);
      this.send([turned], pressed);
      return entry;
    }
    const batch = entry.parts.length > 1 || entry.parts[0].events.length > 1 ? newId() : null;
    for (const part of entry.parts) {
      part.events = part.events.map((event) => ({
        client_event_id: newId(), uid: event.uid, value: "undo", class_id: null, batch_id: batch,
        undoes: event.client_event_id, policy: event.policy, probability: event.probability, ...entry.shared,
      }));
      this.set(part.item.uid, this.of(part.item), part[side], part.events[0].client_event_id);
    }
    this.send(entry.parts.flatMap((part) => part.events), pressed);
    return entry;
  }

  /** What was answered before this page was opened, newest first, as recent.json tells it: it can be taken back, too. */
  restore(items, shared) {
    if (this.restored) return;
    this.restored = true;
    const known = new Set(this.done.concat(this.undone).flatMap((entry) => [entry.batch, ...entry.parts.flatMap((part) => part.events.flatMap((event) => [event.client_event_id, event.batch_id]))]));
    const old = items.filter((each) => !known.has(each.event ?? each.batch)).map((each) => ({
      batch: each.batch, shared, old: true, count: each.count,
      parts: each.pictures.map(({ class_ids, ...item }) => ({
        item: { ...item, policy: each.policy },
        answer: { value: each.value, class_ids },
        events: each.event ? [{ client_event_id: each.event, uid: item.uid, policy: each.policy, probability: null }] : [],
      })),
    }));
    this.done = [...old.filter((entry) => entry.batch || entry.parts.length).reverse(), ...this.done];
  }

  put(uid, answer) {
    if (answer === undefined) this.given.delete(uid); // what it was before is not known here: the server says it
    else this.given.set(uid, answer);
  }

  set(uid, before, after, id) {
    this.put(uid, after);
    const [from, to] = [classesOf(before), classesOf(after)];
    if (String(from) !== String(to)) this.moves.push({ id, from, to, seq: Infinity });
  }

  send(events, pressed) {
    this.measure(events[0].client_event_id, pressed);
    this.queue.add(events);
  }

  /** The server has these events; `seqs`: client_event_id → seq. */
  stored(seqs) {
    for (const move of this.moves) move.seq = seqs.get(move.id) ?? move.seq;
    for (const [id, seq] of seqs) {
      const timing = this.timings.get(id);
      if (!timing) continue;
      timing.seq = seq;
      timing.entry.stored = performance.now() - timing.pressed;
    }
  }

  /** The server will never take this event: as if it had not been given. */
  refused(event) {
    this.moves = this.moves.filter((move) => move.id !== event.client_event_id);
    const holds = (part) => part.events.some((each) => each.client_event_id === event.client_event_id);
    const all = [...this.done, ...this.undone];
    const entry = all.find((each) => each.batch === event.client_event_id || each.parts.some(holds));
    const side = this.undone.includes(entry) ? "answer" : "before";
    for (const part of entry?.parts ?? []) if (entry.batch || holds(part)) this.put(part.item.uid, part[side]);
    this.done = this.done.filter((each) => each !== entry);
    this.undone = this.undone.filter((each) => each !== entry);
  }

  /** Class counts: what the server counted at `seq`, plus what has happened since. */
  counts(base, seq) {
    this.moves = this.moves.filter((move) => move.seq > seq);
    const counts = new Map(Object.entries(base));
    for (const { from, to } of this.moves) {
      for (const id of from) counts.set(id, Math.max(0, (counts.get(id) ?? 0) - 1));
      for (const id of to) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  /** window.__explorerTimings: milliseconds from the press to the paint, to the database, to the new order. */
  measure(id, pressed) {
    const entry = { event: id, paint: null, stored: null, order: null };
    const all = (window.__explorerTimings ??= []);
    all.push(entry);
    if (all.length > TIMINGS_KEPT) all.shift();
    this.timings.set(id, { pressed, entry, seq: Infinity });
    requestAnimationFrame(() => {
      const painted = new MessageChannel(); // a message comes after the frame that is being made now
      painted.port1.onmessage = () => {
        entry.paint = performance.now() - pressed;
        painted.port1.close();
      };
      painted.port2.postMessage(0);
    });
  }

  ordered(seq) {
    for (const [id, timing] of this.timings) {
      if (timing.seq > seq) continue;
      timing.entry.order = performance.now() - timing.pressed;
      this.timings.delete(id);
    }
  }
}

/** An answer as the server tells it: a class id, {value, class_id}, {value, class_ids}, or nothing. */
function answerOf(answer) {
  if (!answer) return null;
  if (typeof answer === "string") return { value: "yes", class_ids: [answer] };
  return { value: answer.value, class_ids: answer.class_ids ?? (answer.class_id ? [answer.class_id] : []) };
}

function classesOf(answer) {
  return answer?.value === "yes" ? answer.class_ids ?? [] : [];
}

/** The [value, class] pairs that an answer is stored as. */
function said(answer) {
  if (answer.value !== "yes") return [[answer.value, null]];
  return [...classesOf(answer).map((id) => ["yes", id]), ...(answer.no_ids ?? []).map((id) => ["no", id])];
}

/** Of a question where several may be true, an answer may speak of some of them only; the others stay as they were. */
function merged(before, answer) {
  if (!answer.no_ids) return answer;
  const kept = classesOf(before).filter((id) => !answer.no_ids.includes(id) && !classesOf(answer).includes(id));
  return { value: "yes", class_ids: [...kept, ...classesOf(answer)] };
}

function recoveredAnswer(event, before) {
  if (event.value === "no") return merged(before, { value: "yes", class_ids: [], no_ids: [event.class_id] });
  if (event.value === "yes" && event.batch_id && before) return merged(before, { value: "yes", class_ids: [event.class_id], no_ids: [] });
  return { value: event.value, class_ids: event.class_id ? [event.class_id] : [] };
}

/** A random UUID, also where the page is not served over a secure connection. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return hashName(bytes, 0).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
