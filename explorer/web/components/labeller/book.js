// What has been answered on this page: the present answer of each picture, undo and redo, counts, timings.

const TIMINGS_KEPT = 1000;

class AnswerBook {
  constructor(queue) {
    this.queue = queue;
    this.given = new Map(); // uid → {value, class_id} or null for "taken back"
    this.done = [];
    this.undone = [];
    this.moves = []; // {id, uid, from, to, seq}: changes of class counts the server may not know yet
    this.timings = new Map();
    for (const event of queue.recovered) {
      if (event.value !== "undo") this.set(event.uid, null, { value: event.value, class_id: event.class_id }, event.client_event_id);
    }
  }

  /** The present answer of a picture: what was said here, else what the server said of it. */
  of(item) {
    return this.given.has(item.uid) ? this.given.get(item.uid) : answerOf(item.answer);
  }

  /** One answer for one or several pictures; taken back together. `shared`: policy, blind, space of the events. */
  give(items, value, classId, shared, pressed) {
    const batch = items.length > 1 ? newId() : null;
    const answer = { value, class_id: classId };
    const parts = items.map((item) => {
      const event = {
        client_event_id: newId(), uid: item.uid, value, class_id: classId, undoes: null, batch_id: batch,
        policy: item.policy ?? "", probability: item.probability ?? null, ...shared,
      };
      const before = this.of(item);
      this.set(item.uid, before, answer, event.client_event_id);
      return { item, event, before, answer };
    });
    const entry = { parts, shared };
    this.done.push(entry);
    this.undone = [];
    this.send(parts.map((part) => part.event), pressed);
    return entry;
  }

  undo(pressed) {
    return this.turn(this.done, this.undone, pressed, (part) => part.before);
  }

  redo(pressed) {
    return this.turn(this.undone, this.done, pressed, (part) => part.answer);
  }

  /** Taking back is an event that undoes the last one of the chain: the answer, or the undo before it. */
  turn(from, to, pressed, target) {
    const entry = from.pop();
    if (!entry) return undefined;
    const batch = entry.parts.length > 1 ? newId() : null;
    const events = entry.parts.map((part) => {
      const { item, event } = part;
      const turned = {
        client_event_id: newId(), uid: item.uid, value: "undo", class_id: null, batch_id: batch,
        undoes: event.client_event_id, policy: event.policy, probability: event.probability, ...entry.shared,
      };
      this.set(item.uid, this.of(item), target(part), turned.client_event_id);
      part.event = turned;
      return turned;
    });
    to.push(entry);
    this.send(events, pressed);
    return entry;
  }

  set(uid, before, after, id) {
    this.given.set(uid, after);
    const [from, to] = [classOf(before), classOf(after)];
    if (from !== to) this.moves.push({ id, from, to, seq: Infinity });
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
    const entry = this.done.find((each) => each.parts.some((part) => part.event === event));
    const part = entry?.parts.find((each) => each.event === event);
    if (part) this.given.set(event.uid, part.before);
    this.done = this.done.filter((each) => each !== entry);
  }

  /** Class counts: what the server counted at `seq`, plus what has happened since. */
  counts(base, seq) {
    this.moves = this.moves.filter((move) => move.seq > seq);
    const counts = new Map(Object.entries(base));
    for (const { from, to } of this.moves) {
      if (from !== null) counts.set(from, Math.max(0, (counts.get(from) ?? 0) - 1));
      if (to !== null) counts.set(to, (counts.get(to) ?? 0) + 1);
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

/** An answer as the server tells it: a class id, {value, class_id}, or nothing. */
function answerOf(answer) {
  if (!answer) return null;
  return typeof answer === "string" ? { value: "yes", class_id: answer } : answer;
}

function classOf(answer) {
  return answer?.value === "yes" ? answer.class_id : null;
}

/** A random UUID, also where the page is not served over a secure connection. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return hashName(bytes, 0).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
