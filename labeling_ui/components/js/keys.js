// What a key press means. Letters go by what is written on the key, so that every layout works;
// digits, and everything while a Hangul or other input method is on, by the key's place.

const COMMANDS = [
  ["Label", [
    ["accept", ["a"], "Accept the suggestion"],
    ["unsure", ["0"], "Unsure: seen, but cannot tell"],
    ["skip", ["x"], "Skip, with a reason"],
    ["undo", ["u", "Ctrl+z"], "Undo"],
    ["redo", ["Shift+u", "Ctrl+Shift+z", "Ctrl+y"], "Redo"],
    ["acceptPage", ["Shift+a"], "Accept the page's suggestions above the threshold"],
  ]],
  ["Move", [
    ["nextOpen", ["n"], "Next clip without your label"],
    ["left", ["ArrowLeft"], "Clip to the left"],
    ["right", ["ArrowRight"], "Clip to the right"],
    ["up", ["ArrowUp"], "Clip above"],
    ["down", ["ArrowDown"], "Clip below"],
    ["pageBack", ["PageUp", "["], "Page before"],
    ["pageOn", ["PageDown", "]"], "Page after"],
    ["focus", ["Enter"], "One clip, large"],
    ["escape", ["Escape"], "Back to the grid"],
    ["help", ["?"], "These keys"],
  ]],
  ["Watch", [
    ["play", ["Space"], "Play or pause"],
    ["stepBack", [","], "One frame back"],
    ["stepOn", ["."], "One frame on"],
    ["slower", ["-"], "Slower"],
    ["faster", ["+", "="], "Faster"],
    ["loop", ["l"], "Loop or stop at the end"],
    ["silhouette", ["v"], "Raw picture or silhouettes"],
    ["skeletons", ["k"], "Skeletons"],
    ["boxes", ["b"], "Boxes with the persons' numbers"],
  ]],
  ["Say more", [
    ["eventStart", ["i"], "The event begins at this frame"],
    ["eventEnd", ["o"], "The event ends with this frame"],
    ["clearDetails", ["Backspace"], "Forget begin, end and persons"],
  ]],
];

// Where a class has taken the letter of a command that labels.
const SPARE = { accept: "y", unsure: "q", skip: "s", nextOpen: "j", eventStart: "g", eventEnd: "h" };

// The keys of each command beside those of the classes, which come first.
function commandKeys(classKeys) {
  const own = new Set(classKeys);
  const found = new Map();
  for (const [, commands] of COMMANDS) {
    for (const [command, names] of commands) {
      const free = names.filter((name) => !own.has(name));
      const spare = free.length || own.has(SPARE[command]) ? undefined : SPARE[command];
      found.set(command, spare ? [spare] : free);
    }
  }
  return found;
}

const PUNCTUATION = { Comma: ",", Period: ".", Minus: "-", Equal: "=", Slash: "/", BracketLeft: "[", BracketRight: "]", Space: "Space" };

function physicalKey(code) {
  const match = /^(?:Digit|Numpad|Key)([0-9A-Z])$/.exec(code || "");
  if (match) return match[1].toLowerCase();
  if (code === "NumpadAdd") return "+";
  if (code === "NumpadSubtract") return "-";
  return PUNCTUATION[code] || "";
}

// Names under which a key press may be bound, the likeliest first.
function keyNames(event) {
  const control = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  const shift = event.shiftKey ? "Shift+" : "";
  const physical = physicalKey(event.code);
  const key = event.key || "";
  if (key === " " || physical === "Space") return [`${control}Space`];
  if (/^[a-z]$/i.test(key)) return [`${control}${shift}${key.toLowerCase()}`];
  if (/^[!-~]$/.test(key)) {
    const digit = /^[0-9]$/.test(physical) ? [`${control}${shift}${physical}`] : [];
    return event.shiftKey && digit.length ? [...digit, control + key] : [control + key, ...digit];
  }
  if (physical === "/" && event.shiftKey) return ["?"];
  if (physical) return [`${control}${shift}${physical}`];
  return [control + shift + key];
}

function isTyping(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  return Boolean(target.closest("input, textarea, select, [contenteditable='true'], [contenteditable='']"));
}

// Space and Enter belong to a button that has the focus, arrows to a slider.
function belongsToTarget(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  if (target.closest("[role='slider']")) return /^(Arrow|Home|End)/.test(event.key);
  return Boolean(target.closest("button, a[href], summary")) && [" ", "Enter"].includes(event.key);
}

class Keys {
  constructor(classKeys, handle) {
    this.bound = new Map();
    for (const [command, names] of commandKeys(classKeys)) for (const name of names) this.bound.set(name, [command]);
    classKeys.forEach((key, index) => {
      if (!key) return; // more classes than keys; the place of the others stays
      this.bound.set(key, ["label", index]);
      this.bound.set(`Shift+${key}`, ["labelPage", index]);
    });
    this.listener = (event) => this.pressed(event, handle);
    window.addEventListener("keydown", this.listener, { capture: true });
  }

  pressed(event, handle) {
    if (event.isComposing || event.altKey || event.defaultPrevented) return;
    if (isTyping(event) || belongsToTarget(event)) return;
    for (const name of keyNames(event)) {
      const command = this.bound.get(name);
      if (!command) continue;
      const repeats = ["stepBack", "stepOn", "left", "right", "up", "down"].includes(command[0]);
      if (event.repeat && !repeats) return this.take(event);
      if (handle(...command)) this.take(event);
      return undefined;
    }
    // Streamlit's own single keys (rerun, clear the cache) are no business of an annotator.
    if (/^[rc]$/i.test(event.key) && !event.ctrlKey && !event.metaKey) event.stopPropagation();
    return undefined;
  }

  take(event) {
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    window.removeEventListener("keydown", this.listener, { capture: true });
  }
}
