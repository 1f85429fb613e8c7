// Everything that goes over HTTP: same origin, with the cookie; errors come back as sentences for the screen.

const PAGE = (window.__explorer ??= { buffers: new Map(), details: new Map(), queues: new Map(), views: new Map() });
const BUFFERS_KEPT = 12;
const DETAILS_KEPT = 2000;
const DETAILS_MS = 60000;

class HttpError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The address of one of the app's own routes; `path` parts that come from data must already be encoded. */
function address(dataset, path, query = {}) {
  const target = new URL(`/x/${encodeURIComponent(dataset)}/${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) target.searchParams.set(name, String(value));
  }
  return target.href;
}

function thumbAddress(dataset, hash) {
  return address(dataset, `thumb/${encodeURIComponent(hash)}.jpg`);
}

/** fetch, with everything that can go wrong turned into an HttpError. status 0: the server could not be reached. */
async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new HttpError("The server does not answer. Is it still running?", 0);
  }
  if (response.ok) return response;
  if (response.status === 403) {
    throw new HttpError("This page needs the link it was opened with. It has ended or was taken back: ask who sent it.", 403);
  }
  let message = `The server answered ${response.status}.`;
  const type = response.headers.get("content-type") ?? "";
  if (type.includes("application/json")) {
    const body = await response.json().catch(() => ({}));
    if (typeof body.error === "string") message = body.error;
  }
  throw new HttpError(message, response.status);
}

async function getJson(url, signal) {
  return (await request(url, { signal, priority: "high" })).json(); // before the pictures that are under way
}

async function postJson(url, body) {
  const headers = { "Content-Type": "application/json", "X-Explorer": "1" };
  const text = JSON.stringify(body);
  // keepalive lets a small post outlive the page; browsers refuse it for more than 64 KB
  return (await request(url, { method: "POST", headers, body: text, keepalive: text.length < 60000, priority: "high" })).json();
}

/** A binary file, fetched once a page however many components ask; the oldest are let go. */
function getBuffer(url) {
  const known = PAGE.buffers.get(url);
  if (known) return known;
  const coming = request(url).then((response) => response.arrayBuffer());
  coming.catch(() => PAGE.buffers.delete(url));
  PAGE.buffers.set(url, coming);
  if (PAGE.buffers.size > BUFFERS_KEPT) PAGE.buffers.delete(PAGE.buffers.keys().next().value);
  return coming;
}

/** What item.json says about a picture: by {uid} or by {row, gen}; kept for a minute. */
function getDetails(dataset, space, which, signal) {
  const url = address(dataset, "item.json", { space: space || undefined, ...which });
  const known = PAGE.details.get(url);
  if (known && performance.now() - known.at < DETAILS_MS) return Promise.resolve(known.details);
  return getJson(url, signal).then((details) => {
    if (PAGE.details.size > DETAILS_KEPT) PAGE.details.clear();
    PAGE.details.set(url, { details, at: performance.now() });
    return details;
  });
}
