// One clip, large, with everything that can be said about it; for reviewers with all votes beside it.

class FocusView {
  constructor(surface) {
    this.surface = surface;
    this.node = h("section", { class: "focus", hidden: true, "aria-label": "One clip" });
    this.item = null;
  }

  open(item) {
    if (this.item === item) return;
    this.close();
    this.item = item;
    this.stage = new Stage(item, this.surface, true);
    this.side = h("aside", { class: "side" });
    this.node.replaceChildren(h("div", { class: "main" }, this.stage.node, this.transport()), this.side);
    this.node.hidden = false;
    this.update();
    this.stage.activate(true);
  }

  close() {
    if (!this.item) return;
    this.stage.activate(false);
    this.item = null;
    this.stage = null;
    this.node.hidden = true;
    this.node.replaceChildren();
  }

  transport() {
    const { surface } = this;
    const button = (command, content, name) => h("button", {
      type: "button", class: "quiet", title: `${name} (${surface.keyOf(command)})`, "aria-label": name,
      onclick: click(() => surface.act(command)),
    }, content);
    this.playButton = button("play", icon("pause"), "Play or pause");
    this.clock = h("span", { class: "clock" });
    return h("div", { class: "transport" },
      button("left", icon("back"), "Clip before"), button("right", icon("next"), "Clip after"),
      h("span", { class: "gap" }), button("stepBack", "−1 frame", "One frame back"), this.playButton,
      button("stepOn", "+1 frame", "One frame on"), h("span", { class: "gap" }),
      button("eventStart", ["Event begins ", keycap("i")], "The event begins at this frame"),
      button("eventEnd", ["Event ends ", keycap("o")], "The event ends with this frame"));
  }

  update() {
    if (!this.item) return;
    const { item, surface } = this;
    this.stage.update();
    this.playButton.replaceChildren(icon(surface.playing ? "pause" : "play"));
    this.side.replaceChildren(...[
      this.title(), item.clip.votes ? votesTable(item.clip.votes, surface) : null, this.suggestion(), this.labels(),
      this.others(), this.persons(), this.event(),
    ].filter(Boolean));
  }

  title() {
    const { item, surface } = this;
    const { clip } = item;
    return h("header", {},
      h("div", { class: "when" }, `${clip.video} · ${windowTime(clip)}`),
      h("div", { class: "verdict", tint: surface.colorOf(item.mine?.label) }, h("span", { class: "says" }, clip.votes && !item.mine ? "Not decided yet" : voteText(item.mine)), stateBadge(item)),
      item.stale && h("div", { class: "badge warn" }, icon("refresh"), "Cut anew since it was labeled: look again"),
      item.gone && h("div", { class: "badge warn" }, icon("alert"), "Its video is missing, or it is no longer cut"));
  }

  suggestion() {
    const { item, surface } = this;
    const offer = surface.suggestionOf(item);
    if (!offer) return null;
    return h("button", { type: "button", class: "suggestion", title: `Suggested by ${offer.system}`, onclick: click(() => surface.accept(item)) },
      icon("spark"), h("span", {}, offer.label), h("span", { class: "share" }, percent(offer.probability)), keycap(surface.keyOf("accept")));
  }

  labels() {
    const { item, surface } = this;
    const chosen = item.mine && item.mine.kind !== "skip" ? item.mine.label : null;
    return h("div", { class: "labels tall", role: "group", "aria-label": "Label" }, surface.options.classes.map((one, index) => h("button", {
      type: "button", class: "label", tint: one.color, "data-label": one.name, disabled: item.gone,
      "aria-pressed": String(one.name === chosen), onclick: click(() => surface.label(item, index)),
    }, keycap(one.key || "·"), h("span", {}, one.name))));
  }

  others() {
    const { surface } = this;
    if (surface.options.mode === "review") return null;
    return h("div", { class: "pair" }, ["unsure", "skip"].map((command) => h("button", {
      type: "button", class: "quiet", disabled: this.item.gone, onclick: click(() => surface.act(command)),
    }, icon(command), command === "skip" ? "Skip…" : "Unsure", keycap(surface.keyOf(command)))));
  }

  persons() {
    const { item, surface } = this;
    const ids = this.stage.overlay.trackIds();
    const all = [...new Set([...ids, ...item.details.track_ids])].sort((a, b) => a - b);
    if (!all.length) return null;
    return h("div", { class: "group" }, h("h4", {}, "Whom it concerns"), h("div", { class: "persons", role: "group", "aria-label": "Persons" },
      all.map((id) => h("button", {
        type: "button", class: "person", tint: trackColor(id), "aria-pressed": String(item.details.track_ids.includes(id)),
        onclick: click(() => surface.togglePerson(item, id)),
      }, item.details.track_ids.includes(id) ? icon("check") : icon("person"), String(id)))));
  }

  event() {
    const { item, surface } = this;
    const { start_s: from, end_s: to, track_ids: ids } = item.details;
    if (from === null && to === null && !ids.length) return null;
    const text = from === null && to === null ? "The whole clip" : `${from === null ? "…" : clockTime(from)} – ${to === null ? "…" : clockTime(to)}`;
    return h("div", { class: "group" }, h("h4", {}, "When"), h("div", { class: "line" }, h("span", {}, text),
      h("button", { type: "button", class: "quiet", onclick: click(() => surface.act("clearDetails")) }, "Forget", keycap("⌫"))),
    !item.done && h("p", { class: "tip" }, "Kept with the label you choose."));
  }
}

function votesTable(votes, surface) {
  return h("div", { class: "votes", role: "list", "aria-label": "Votes" }, votes.map((vote) => h("div", {
    class: "vote", role: "listitem", tint: surface.colorOf(vote.label),
  },
  h("strong", {}, vote.annotator), h("span", { class: "says" }, voteText(vote)),
  h("span", { class: "small" }, [
    vote.kind === "adjudicate" && "decided", SOURCES[vote.source], vote.stale && "of an older cut",
    vote.start_s !== null && vote.start_s !== undefined && `${clockTime(vote.start_s)} –`,
    vote.end_s !== null && vote.end_s !== undefined && clockTime(vote.end_s),
    vote.track_ids && vote.track_ids.length ? `persons ${vote.track_ids.join(", ")}` : null,
    String(vote.voted_at || "").slice(0, 16).replace("T", " "),
  ].filter(Boolean).join(" · ")))));
}

const SOURCES = {
  person: "", page: "with its page", accepted: "suggestion taken", accepted_page: "suggestions of the page taken", imported: "imported",
};
