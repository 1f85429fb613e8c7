// Small building blocks of every component. All text from the collection goes in as text nodes, never as markup.

const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  back: "M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  home: "M4 10V4h6M20 10V4h-6M4 14v6h6M20 14v6h-6",
  lasso: "M12 4c5 0 8.5 2.4 8.5 5.6S17 15.2 12 15.2 3.5 12.8 3.5 9.6 7 4 12 4zM7.6 14.5c-1.2 1.6-1.2 4 .6 5.5M9.5 17.2a2 2 0 1 1-3.9 0 2 2 0 0 1 3.9 0z",
  pictures: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  similar: "M4 4h7v7H4zM13 13h7v7h-7zM13 4h7v7h-7zM4 13h7v7H4z",
  check: "M5 13l4 4L19 7",
  undo: "M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6",
  redo: "M15 7l5 5-5 5M20 12H10a6 6 0 0 0-6 6",
  zoom: "M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15.5 15.5L20 20",
};

/** An element with properties and children. `on` holds listeners, `data` data attributes, `aria` aria attributes. */
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "aria") for (const [key, text] of Object.entries(value)) node.setAttribute(`aria-${key}`, text);
    else if (name === "class") node.className = value;
    else if (name === "role") node.setAttribute("role", value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "ex-icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and, unless `words` is empty, words; `label` is what a screen reader and the tooltip say. */
function iconButton(name, label, words, onClick, extra = "") {
  const button = el("button", { type: "button", class: `ex-button ${words ? "" : "ex-square"} ${extra}`, title: label, on: { click: onClick } });
  button.setAttribute("aria-label", label);
  button.append(icon(name));
  if (words) button.append(el("span", { textContent: words }));
  return button;
}

const counting = new Intl.NumberFormat("en-US");
const shortNumber = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4, useGrouping: "min2" });

function pictures(n) {
  return `${counting.format(n)} ${n === 1 ? "picture" : "pictures"}`;
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** The digit of a key press, also on keyboards where digits need shift, or -1. */
function digitOf(event) {
  const found = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (found) return Number(found[1]);
  return /^\d$/.test(event.key) ? Number(event.key) : -1;
}

/** The letter of a key press: what is printed on a Latin keyboard, else the key's place. */
function letterOf(event) {
  const key = event.key.toLowerCase();
  if (/^[a-z]$/.test(key)) return key;
  const place = /^Key([A-Z])$/.exec(event.code);
  return place ? place[1].toLowerCase() : key;
}

function typing(event) {
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** The theme's colours where the component stands, so that what hangs on the body can wear them too. */
function copyTheme(from, to) {
  const style = getComputedStyle(from);
  const names = ["primary-color", "background-color", "secondary-background-color", "text-color", "border-color", "font",
    "base-radius", "red-color", "green-color", "orange-color", "link-color"];
  for (const name of names) {
    const value = style.getPropertyValue(`--st-${name}`).trim();
    if (value) to.style.setProperty(`--st-${name}`, value);
  }
}

const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Any CSS colour as [r, g, b], 0..255. */
function rgbOf(colour, fallback = [128, 128, 128]) {
  if (!brush || !colour || !CSS.supports("color", colour)) return fallback;
  brush.canvas.width = brush.canvas.height = 1;
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Where a component was mounted → what lives there; Streamlit calls the default export again at every change. */
function mountOnce(instances, component, create) {
  const { parentElement } = component;
  const root = parentElement.querySelector(".ex-root");
  let living = instances.get(parentElement);
  if (living && living.root !== root) {
    living.destroy();
    living = undefined;
  }
  if (!living) {
    living = create(root);
    instances.set(parentElement, living);
  }
  living.update(component);
  return () => {
    if (PAGE.lightbox?.themeFrom === root) PAGE.lightbox.close(); // it must not stay over another page
    instances.get(parentElement)?.destroy();
    instances.delete(parentElement);
  };
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch (error) {
    console.debug("this browser keeps nothing for this site", error.name);
  }
}

function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch (error) {
    console.debug("this browser keeps nothing for this site", error.name);
    return null;
  }
}
