// What opens over the page: why a clip is skipped, and the table of keys.

class Dialogs {
  constructor(surface) {
    this.surface = surface;
    this.node = h("dialog", { class: "dialog" });
    this.node.addEventListener("close", () => this.open || this.node.replaceChildren()); // it comes late
    this.node.addEventListener("click", (event) => event.target === this.node && this.node.close());
    this.node.addEventListener("keydown", (event) => this.pressed(event));
  }

  get open() {
    return this.node.open;
  }

  show(title, ...content) {
    this.node.setAttribute("aria-label", title);
    this.node.replaceChildren(h("h3", {}, title), ...content);
    this.choices = [];
    this.node.showModal();
  }

  skip(item) {
    const done = (reason) => {
      this.node.close();
      if (reason) this.surface.skip(item, reason);
    };
    const field = h("input", { type: "text", maxlength: "200", placeholder: "Another reason…", "aria-label": "Another reason" });
    const buttons = this.surface.options.reasons.map((reason, index) => h("button", {
      type: "button", class: "choice", onclick: () => done(reason),
    }, keycap(String(index + 1)), reason));
    this.show("Why skip this clip?", h("div", { class: "choices" }, buttons), h("form", {
      class: "other", onsubmit: (event) => { event.preventDefault(); done(field.value.trim()); },
    }, field, h("button", { type: "submit", class: "quiet" }, "Skip")));
    this.choices = buttons;
    buttons[0]?.focus();
  }

  help() {
    const { surface } = this;
    const row = (keys, text) => h("div", { class: "row" }, h("span", { class: "keys" }, keys.map(keycap)), h("span", {}, text));
    const classes = surface.options.classes.filter((one) => one.key);
    const columns = COMMANDS.map(([title, commands]) => h("div", {}, h("h4", {}, title),
      title === "Label" && [
        ...classes.map((one) => row([one.key], one.name)),
        row(["⇧", "1–9"], "The same for every clip of the page without your label"),
      ],
      commands.map(([command, , text]) => row(surface.keysOf(command).map(keyLabel), text))));
    this.show("Keys", h("div", { class: "help" }, columns), h("button", { type: "button", class: "quiet", onclick: () => this.node.close() }, "Close", keycap("Esc")));
  }

  // Digits choose a reason; a digit in the field is a digit.
  pressed(event) {
    event.stopPropagation();
    if (event.isComposing || isTyping(event)) return;
    const choice = this.choices[Number(keyNames(event)[0]) - 1];
    if (choice) {
      event.preventDefault();
      choice.click();
    }
  }
}

function keyLabel(name) {
  const words = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", Backspace: "⌫", PageUp: "PgUp", PageDown: "PgDn" };
  return name.split("+").filter((part, index, all) => part || index === all.length - 1)
    .map((part) => words[part] || { Shift: "⇧", Ctrl: "Ctrl" }[part] || (part.length === 1 ? part.toUpperCase() : part)).join(" ") || "+";
}
