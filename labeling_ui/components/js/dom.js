// Elements from plain data. Strings become text nodes: nothing from outside is ever read as HTML.

function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "tint") node.style.setProperty("--tint", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICONS = {
  play: "M7 5v14l12-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4l9 16H3zM12 10v4M12 17v.5",
  clock: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4l3 2",
  refresh: "M19 8a8 8 0 10 1 5M19 3v5h-5",
  person: "M12 5a3 3 0 100 6 3 3 0 000-6zM5 20c.6-4 3.2-6 7-6s6.400 2 7 6",
  back: "M14 6l-6 6 6 6",
  next: "M10 6l6 6-6 6",
  undo: "M8 5L4 9l4 4M4 9h9a6 6 0 010 12h-3",
  redo: "M16 5l4 4-4 4M20 9h-9a6 6 0 000 12h3",
  film: "M4 6h16v12H4zM8 6v12M16 6v12",
  spark: "M12 4l1.800 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800z",
  skip: "M6 6l12 12M18 6L6 18",
  unsure: "M9 9a3 3 0 116 0c0 2-3 2.500-3 5M12 17.500v.5",
};

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function keycap(key) {
  return h("kbd", {}, key);
}

// "0:07.25": minutes, seconds, hundredths.
function clockTime(seconds) {
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  return `${minutes}:${((hundredths % 6000) / 100).toFixed(2).padStart(5, "0")}`;
}

// A clip's window; whole seconds without hundredths.
function windowTime(clip) {
  const ends = [clip.start_s, clip.end_s].map(clockTime);
  const whole = ends.every((text) => text.endsWith(".00"));
  return ends.map((text) => (whole ? text.slice(0, -3) : text)).join(" – ");
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

// A mouse click must not leave the focus on a button, or Space would press it once more.
function click(action) {
  return (event) => {
    event.stopPropagation();
    if (event.detail > 0) event.currentTarget.blur();
    action(event);
  };
}

function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function stored(storage, key, fallback) {
  try {
    const text = storage.getItem(key);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

function store(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, JSON.stringify(value));
  } catch {
    return false;
  }
  return true;
}
