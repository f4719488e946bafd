// A clip in the grid.

class Card {
  constructor(item, surface) {
    Object.assign(this, { item, surface });
    const { clip } = item;
    this.stage = new Stage(item, surface, false);
    this.badges = h("div", { class: "badges" });
    this.verdict = h("div", { class: "verdict" });
    this.hint = h("button", { type: "button", class: "suggestion", onclick: click(() => surface.accept(item)) });
    this.buttons = surface.options.classes.map((one, index) => one.key && this.labelButton(one, index)).filter(Boolean);
    this.choice = this.dropdown();
    this.stage.frameBox.append(this.badges);
    this.node = h("article", {
      class: "card", tabindex: "-1", "data-clip": clip.key, onfocusin: () => surface.select(item, false),
      onclick: () => surface.select(item),
    },
    this.stage.node,
    h("div", { class: "line" },
      h("span", { class: "when", title: clip.clip_id }, surface.showsVideo ? `${clip.video} · ` : "", windowTime(clip)),
      h("span", { class: "people", title: `${clip.n_persons} persons` }, icon("person"), String(clip.n_persons))),
    h("div", { class: "labels", role: "group", "aria-label": "Label" }, this.buttons),
    h("div", { class: "line" }, this.hint, this.verdict, this.choice));
    this.update();
  }

  labelButton(one, index) {
    return h("button", {
      type: "button", class: "label", tint: one.color, "data-label": one.name,
      onclick: click(() => this.surface.label(this.item, index)),
    }, keycap(one.key), h("span", {}, one.name));
  }

  dropdown() {
    const { classes } = this.surface.options;
    const select = h("select", { "aria-label": "Label by list", tabindex: "-1" },
      h("option", { value: "" }, "More…"),
      classes.map((one, index) => h("option", { value: String(index) }, one.name)),
      h("option", { value: "unsure" }, "Unsure"), h("option", { value: "skip" }, "Skip…"));
    select.addEventListener("click", (event) => event.stopPropagation());
    select.addEventListener("change", () => {
      const { value } = select;
      [select.value] = [""];
      select.blur();
      this.surface.select(this.item);
      if (value === "unsure" || value === "skip") this.surface.act(value);
      else if (value !== "") this.surface.label(this.item, Number(value));
    });
    return select;
  }

  update() {
    const { item, surface } = this;
    const { mine, gone } = item;
    const chosen = mine && mine.kind !== "skip" ? mine.label : null;
    this.node.className = `card ${item.state}${mine ? " done" : ""}${gone ? " gone" : ""}${surface.current === item ? " current" : ""}`;
    this.node.setAttribute("aria-label", `${item.clip.clip_id}: ${voteText(mine)}${item.state === "saved" ? ", saved" : ""}`);
    this.node.setAttribute("aria-current", String(surface.current === item));
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.label === chosen));
      button.disabled = gone;
    }
    this.choice.disabled = gone;
    this.verdict.replaceChildren(h("span", { class: "says" }, voteText(mine)), stateBadge(item) || "");
    this.node.style.setProperty("--tint", surface.colorOf(chosen));
    const marks = [
      item.stale && h("span", { class: "badge warn", title: "Cut anew since it was labeled: look again" }, icon("refresh"), "cut anew"),
      gone && h("span", { class: "badge warn", title: "Its video is missing, or it is no longer cut" }, icon("alert"), "not there any more"),
    ];
    this.badges.replaceChildren(...marks.filter(Boolean));
    const offer = surface.suggestionOf(item);
    this.hint.hidden = !offer || item.done;
    this.node.classList.toggle("offers", !this.hint.hidden);
    if (offer) this.hint.replaceChildren(icon("spark"), h("span", {}, offer.label), h("span", { class: "share" }, percent(offer.probability)), keycap(surface.keyOf("accept")));
    this.hint.disabled = gone;
    this.stage.update();
  }
}
