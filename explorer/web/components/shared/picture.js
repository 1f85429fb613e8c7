// One small picture: lazily loaded, quiet when it cannot be shown.

function thumbImage(dataset, hash, caption) {
  if (!hash) return noPicture();
  const image = el("img", { loading: "lazy", decoding: "async", draggable: false, alt: caption || "picture" });
  image.addEventListener("error", () => image.replaceWith(noPicture()), { once: true });
  image.src = thumbAddress(dataset, hash);
  return image;
}

function noPicture() {
  return el("span", { class: "ex-nopicture", textContent: "cannot be shown" });
}

/** 16 bytes of a hash as the 32 letters of its name. */
function hashName(bytes, row) {
  let name = "";
  for (let at = row * 16; at < row * 16 + 16; at++) name += bytes[at].toString(16).padStart(2, "0");
  return /^0+$/.test(name) ? "" : name;
}

/** Which of `count` cards of a grid an arrow key leads to, or -1 when the key is not for the grid. */
function gridStep(grid, count, at, key) {
  const columns = Math.max(1, getComputedStyle(grid).gridTemplateColumns.split(" ").length);
  const page = columns * 4;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page };
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (!(key in steps)) return -1;
  const next = at + steps[key];
  if (next < 0 || next >= count) return Math.abs(steps[key]) > 1 && next >= count && at < count - 1 ? count - 1 : at;
  return next;
}
