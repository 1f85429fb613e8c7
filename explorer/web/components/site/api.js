// What api.js is for the app, for a copy without a server: the same questions, answered from data/collection.js.

const PAGE = (window.__explorer ??= { views: new Map() });
const SITE = window.EXPLORER_SITE;
const FOLDER_OF = 1000;

class HttpError extends Error {}

/** A base64 text as numbers; both sides are little-endian. */
function unpack(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

const WHERE = unpack(SITE.pictures, Uint32Array); // picture file of each row
const NEAR = unpack(SITE.near, Int32Array);

function pictureFile(folder, file) {
  const name = String(file).padStart(6, "0");
  return `${folder}/${String(Math.floor(file / FOLDER_OF)).padStart(3, "0")}/${name}.jpg`;
}

/** What stands for a hash here: the number of the picture's file, so that no name says what the original was. */
function hashOf(row) {
  return (WHERE[row] + 1).toString(16).padStart(32, "0");
}

function thumbAddress(dataset, hash) {
  return pictureFile("pictures", parseInt(hash.slice(-8), 16) - 1);
}

/** Originals are not part of the copy: they have no address. */
function address(dataset, path, query = {}) {
  if (path === "original") return "";
  if (path === "full.jpg") return pictureFile(SITE.large ? "large" : "pictures", WHERE[Number(query.uid)]);
  return path;
}

async function getBuffer(url) {
  const [path, query = ""] = url.split("?");
  if (path.endsWith("points.bin")) return unpack(SITE.xy, Float32Array).buffer;
  if (path.endsWith("hashes.bin")) return hashBytes().buffer;
  const by = new URLSearchParams(query).get("by");
  return unpack(SITE.colours.find((each) => each.by === by).codes, Uint8Array).buffer;
}

function hashBytes() {
  const bytes = new Uint8Array(16 * SITE.n);
  const view = new DataView(bytes.buffer);
  WHERE.forEach((file, row) => view.setUint32(16 * row + 12, file + 1));
  return bytes;
}

function item(row, more = {}) {
  return { uid: String(row), hash: hashOf(row), caption: SITE.captions[row], ...more };
}

async function getDetails(dataset, space, { uid, row = Number(uid) }) {
  const columns = SITE.columns.map((column) => [column.name, column.values[column.codes[row]]]).filter((pair) => pair[1]);
  const near = [...NEAR.subarray(row * SITE.near_each, (row + 1) * SITE.near_each)].filter((each) => each >= 0);
  return { ...item(row), columns, neighbours: near.map((each) => item(each)) };
}
