// Answers on their way to the database: shown at once, kept until the server has them, sent again until it does.

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15000;
const AT_ONCE = 200;
const LATER = new Set([0, 403, 408, 409, 425, 429]);

/** Whether an event stands for many: the server expands it, and it travels alone. */
function forMany(event) {
  return Boolean(event.bulk || event.undo_batch);
}

/** One a collection and question; it outlives the component, so that leaving the page loses nothing. */
function queueOf(dataset, question) {
  const name = JSON.stringify([dataset, question]);
  if (!PAGE.queues.has(name)) PAGE.queues.set(name, new AnswerQueue(dataset, question));
  return PAGE.queues.get(name);
}

class AnswerQueue {
  constructor(dataset, question) {
    this.question = question;
    this.url = address(dataset, "answers");
    this.prefix = `explorer.answer.${encodeURIComponent(dataset)}.${encodeURIComponent(question)}.`;
    this.waiting = []; // {at, event}, oldest first
    this.latest = 0;
    this.tries = 0;
    this.trouble = "";
    this.listeners = new Set();
    this.recovered = this.recover();
    this.wake = () => this.flush();
    window.addEventListener("online", this.wake);
    if (this.waiting.length) queueMicrotask(this.wake);
  }

  /** What an earlier page could not deliver. */
  recover() {
    try {
      const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix));
      this.waiting = names.map((name) => JSON.parse(localStorage.getItem(name))).sort((a, b) => a.at - b.at);
    } catch (error) {
      console.debug("this browser keeps nothing for this site", error.name);
    }
    return this.waiting.map((each) => each.event);
  }

  add(events) {
    for (const event of events) {
      // the clock may stand still between two presses; the order of answers must not
      this.clock = Math.max(Date.now(), (this.clock ?? 0) + 0.001);
      const kept = { at: this.clock, event };
      this.waiting.push(kept);
      remember(this.prefix + event.client_event_id, JSON.stringify(kept));
    }
    this.changed();
    this.flush();
  }

  async flush() {
    clearTimeout(this.retrying);
    if (this.busy || !this.waiting.length) return;
    this.busy = true;
    const sent = this.next();
    this.changed();
    try {
      const body = forMany(sent[0]) ? sent[0] : { events: sent };
      const { stored, latest, ...told } = await postJson(this.url, { ...body, question: this.question });
      this.tries = 0;
      this.trouble = "";
      this.shut = false;
      this.oneByOne = false;
      this.latest = Math.max(this.latest, latest);
      const seqs = new Map(stored.map((each) => [each.client_event_id, each.seq]));
      this.forget(new Set(seqs.keys()));
      for (const listener of this.listeners) listener.stored(seqs, forMany(sent[0]) ? { ...told, event: sent[0] } : undefined);
      if (!sent.some((event) => seqs.has(event.client_event_id))) throw new HttpError("The server did not confirm the answers.", 500);
    } catch (error) {
      this.failed(error, sent);
    } finally {
      this.busy = false;
      this.changed();
    }
    if (this.waiting.length && !this.trouble) this.flush();
  }

  /** What to send now, in the order it was given. */
  next() {
    const events = this.waiting.map((each) => each.event);
    if (forMany(events[0])) return events.slice(0, 1);
    const alone = events.findIndex(forMany);
    return events.slice(0, Math.min(this.oneByOne ? 1 : AT_ONCE, alone < 0 ? events.length : alone));
  }

  /** A server that is away gets the answers later; an answer that it refuses for good is given back. */
  failed(error, sent) {
    const status = error.status ?? 0;
    if (LATER.has(status) || status >= 500) {
      this.trouble = error.message;
      this.shut = status === 403; // the link has ended or was taken back: that has to be read
      const wait = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.tries);
      this.tries++;
      this.retrying = setTimeout(this.wake, wait);
      return;
    }
    this.trouble = "";
    if (sent.length > 1) {
      this.oneByOne = true; // find out which one it is
    } else {
      this.forget(new Set([sent[0].client_event_id]));
      for (const listener of this.listeners) listener.refused(sent[0], error.message);
    }
  }

  forget(ids) {
    this.waiting = this.waiting.filter((each) => !ids.has(each.event.client_event_id));
    for (const id of ids) forgetKept(this.prefix + id);
  }

  /** Resolves when nothing is on its way any more, or after `most` ms. */
  settled(most) {
    const began = performance.now();
    return new Promise((resolve) => {
      const look = () => (!this.waiting.length || performance.now() - began > most ? resolve() : setTimeout(look, 15));
      look();
    });
  }

  changed() {
    for (const listener of this.listeners) listener.moved();
  }
}

function forgetKept(name) {
  try {
    localStorage.removeItem(name);
  } catch (error) {
    console.debug("this browser keeps nothing for this site", error.name);
  }
}
