// The bar above the clips: where one is, what one sees, and what holds for the whole page.

const SPEEDS = [0.5, 0.75, 1, 1.5, 2, 3, 4];

class Toolbar {
  constructor(surface) {
    this.surface = surface;
    const { options } = surface;
    this.progress = h("div", { class: "progress", role: "progressbar", "aria-label": "Clips with your label", "aria-valuemin": "0" }, h("i", {}));
    this.count = h("span", { class: "count" });
    this.safety = h("button", { type: "button", class: "safety", onclick: click(() => surface.retry()) });
    this.pages = h("span", { class: "pages" });
    this.speed = h("select", { "aria-label": "Speed", title: "Speed (− and +)" }, SPEEDS.map((rate) => h("option", { value: String(rate) }, `${rate}×`)));
    this.speed.addEventListener("change", () => { surface.setPref("speed", Number(this.speed.value)); this.speed.blur(); });
    this.toggles = [
      ["silhouette", "Silhouettes"], ["skeletons", "Skeletons"], ["boxes", "Boxes"], ["loop", "Loop"],
    ].map(([name, text]) => h("button", { type: "button", class: "toggle", "data-pref": name, title: `${text} (${surface.keyOf(name)})`, onclick: click(() => surface.act(name)) }, text));
    this.play = h("button", { type: "button", class: "toggle icon-only", title: "Play or pause (Space)", "aria-label": "Play or pause", onclick: click(() => surface.act("play")) });
    this.advance = h("button", { type: "button", class: "toggle", "data-pref": "advance", title: "Go on to the next clip after a label", onclick: click(() => surface.setPref("advance", !surface.prefs.advance)) }, "Auto-advance");
    const tool = (command, picture, name) => h("button", { type: "button", class: "toggle icon-only", title: `${name} (${surface.keyOf(command)})`, "aria-label": name, onclick: click(() => surface.act(command)) }, picture);
    this.node = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Clips" },
      h("div", { class: "row top" }, h("h2", {}, options.title), this.progress, this.count, this.pages, h("span", { class: "gap" }), this.safety,
        tool("undo", icon("undo"), "Undo"), tool("redo", icon("redo"), "Redo"), tool("help", "?", "Keys")),
      h("div", { class: "row" }, this.play, this.speed, h("span", { class: "rule" }), this.toggles, this.advance, h("span", { class: "gap" }),
        options.mode === "review" ? null : this.pageActions()));
  }

  pageActions() {
    const { surface } = this;
    const { classes } = surface.options;
    this.pageLabel = h("select", { "aria-label": "Label the page", title: "Every clip of this page without your label (⇧ and the label's key)" },
      h("option", { value: "" }, "Label page as…"), classes.map((one, index) => h("option", { value: String(index) }, one.name)));
    this.pageLabel.addEventListener("change", () => {
      const { value } = this.pageLabel;
      this.pageLabel.value = "";
      this.pageLabel.blur();
      if (value !== "") surface.labelPage(Number(value));
    });
    this.threshold = h("input", { type: "number", min: "0", max: "100", step: "1", value: String(Math.round(surface.options.acceptAbove * 100)), "aria-label": "Least probability in percent" });
    this.threshold.addEventListener("keydown", (event) => ["Enter", "Escape"].includes(event.key) && this.threshold.blur());
    this.acceptAll = h("span", { class: "accept-all" }, h("button", { type: "button", class: "toggle", title: `Accept the page's suggestions (${surface.keyOf("acceptPage")})`, onclick: click(() => surface.act("acceptPage")) }, icon("spark"), "Accept ≥"), this.threshold, "%");
    return [this.acceptAll, this.pageLabel];
  }

  get least() {
    const value = Number(this.threshold?.value);
    return Number.isFinite(value) ? Math.min(Math.max(value, 0), 100) / 100 : 1;
  }

  update() {
    const { surface } = this;
    for (const button of [...this.toggles, this.advance]) button.setAttribute("aria-pressed", String(Boolean(surface.prefs[button.dataset.pref])));
    this.play.replaceChildren(icon(surface.playing ? "pause" : "play"));
    this.speed.value = String(surface.prefs.speed);
    if (this.acceptAll) this.acceptAll.hidden = !surface.items.some((item) => surface.suggestionOf(item));
    this.updatePlace();
    this.updateSafety();
  }

  updatePlace() {
    const { surface } = this;
    const { page, pages, total } = surface.place;
    const done = surface.doneCount();
    this.count.textContent = surface.options.mode === "review" ? `${total} disputed` : `${done} of ${total}`;
    this.progress.firstChild.style.width = `${total ? (100 * done) / total : 0}%`;
    this.progress.setAttribute("aria-valuenow", String(done));
    this.progress.setAttribute("aria-valuemax", String(total));
    this.progress.hidden = surface.options.mode === "review";
    this.pages.hidden = pages < 2;
    if (pages < 2) return;
    const turn = (command, picture, name, off) => h("button", { type: "button", class: "toggle icon-only", disabled: off, "aria-label": name, title: `${name} (${surface.keyOf(command)})`, onclick: click(() => surface.act(command)) }, icon(picture));
    this.pages.replaceChildren(turn("pageBack", "back", "Page before", page === 0), h("span", {}, `Page ${page + 1} of ${pages}`), turn("pageOn", "next", "Page after", page >= pages - 1));
  }

  updateSafety() {
    const { outbox } = this.surface.voting;
    const state = !outbox.size ? "saved" : outbox.problem ? "failed" : "saving";
    const texts = {
      saved: "All saved", saving: `Saving ${outbox.size}…`,
      failed: `${outbox.size} not saved: ${outbox.problem} · Try now`,
    };
    this.safety.className = `safety ${state}`;
    this.safety.disabled = state !== "failed";
    this.safety.title = state === "failed" ? "They are kept in this browser and sent until the server has them" : "Every label is on the server's disk before it counts as saved";
    this.safety.replaceChildren(icon({ saved: "check", saving: "clock", failed: "alert" }[state]), texts[state]);
  }
}
