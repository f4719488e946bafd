// What each command does. A command that does nothing returns false and leaves the key to others.

const ACTIONS = {
  label: (surface, index) => surface.current && surface.label(surface.current, index),
  labelPage: (surface, index) => surface.labelPage(index),
  accept: (surface) => surface.current && surface.accept(surface.current),
  acceptPage: (surface) => surface.acceptPage(),
  unsure: (surface) => surface.current && surface.decide(surface.current, { kind: "unsure" }),
  skip: (surface) => surface.current && surface.options.mode !== "review" && !surface.current.gone && surface.dialogs.skip(surface.current),
  undo: (surface) => surface.voting.turn("undo"),
  redo: (surface) => surface.voting.turn("redo"),
  nextOpen: (surface) => surface.nextOpen(),
  left: (surface) => surface.move(-1),
  right: (surface) => surface.move(1),
  up: (surface) => surface.move(-surface.columns()),
  down: (surface) => surface.move(surface.columns()),
  pageBack: (surface) => surface.turnPage(-1),
  pageOn: (surface) => surface.turnPage(1),
  focus: (surface) => surface.current && !surface.focusView.item && surface.focusOn(surface.current),
  escape: (surface) => surface.leaveFocus(),
  help: (surface) => surface.dialogs.help(),
  play: (surface) => surface.setPlaying(!surface.playing),
  stepBack: (surface) => surface.step(-1),
  stepOn: (surface) => surface.step(1),
  slower: (surface) => surface.changeSpeed(-1),
  faster: (surface) => surface.changeSpeed(1),
  loop: (surface) => surface.setPref("loop", !surface.prefs.loop),
  silhouette: (surface) => surface.setPref("silhouette", !surface.prefs.silhouette),
  skeletons: (surface) => surface.setPref("skeletons", !surface.prefs.skeletons),
  boxes: (surface) => surface.setPref("boxes", !surface.prefs.boxes),
  eventStart: (surface) => surface.markEvent("start_s"),
  eventEnd: (surface) => surface.markEvent("end_s"),
  clearDetails: (surface) => surface.clearDetails(),
};

Object.assign(Surface.prototype, {
  act(command, ...values) {
    if (this.dialogs.open) return false;
    return ACTIONS[command](this, ...values) !== false;
  },

  label(item, index) {
    const one = this.options.classes[index];
    return one ? this.decide(item, { kind: "label", label: one.name }) : false;
  },

  accept(item) {
    const offer = this.suggestionOf(item);
    if (!offer) return false;
    return this.decide(item, { kind: "label", label: offer.label }, "accepted");
  },

  skip(item, reason) {
    this.decide(item, { kind: "skip", reason });
  },

  // One decision on one clip, and on to the next.
  decide(item, decision, source = "person") {
    if (item.gone || this.options.mode === "review" && decision.kind !== "label") return false;
    const fresh = !item.done;
    this.voting.cast([[item, decision]], source);
    this.changed(item);
    this.toolbar.update();
    if (this.prefs.advance) this.advance(item, fresh);
    return true;
  },

  labelPage(index) {
    const one = this.options.classes[index];
    if (!one || this.options.mode === "review") return false;
    const open = this.items.filter((item) => !item.done && !item.gone);
    return this.decideAll(open.map((item) => [item, { kind: "label", label: one.name }]), "page", one.name);
  },

  acceptPage() {
    if (this.options.mode === "review") return false;
    const open = this.items.filter((item) => !item.done && !item.gone && (this.suggestionOf(item)?.probability ?? -1) >= this.toolbar.least);
    return this.decideAll(open.map((item) => [item, { kind: "label", label: this.suggestionOf(item).label }]), "accepted_page", "as suggested");
  },

  decideAll(decisions, source, words) {
    if (!decisions.length) {
      this.say("No clip on this page is waiting for that");
      return true;
    }
    this.voting.cast(decisions, source);
    for (const [item] of decisions) this.changed(item);
    this.toolbar.update();
    this.say(`${decisions.length} ${decisions.length === 1 ? "clip" : "clips"} labeled ${words}. ${this.keyOf("undo")} takes it back.`);
    return true;
  },

  async advance(item, fresh) {
    const index = this.items.indexOf(item);
    const later = this.items.slice(index + 1);
    const next = fresh ? later.find((one) => !one.done && !one.gone) : later[0];
    if (next) return this.select(next);
    if (fresh && !this.items.some((one) => !one.done && !one.gone)) return this.nextOpen();
    return undefined;
  },

  // The next clip without my label: on this page, or on the first page after it that has one.
  async nextOpen() {
    const index = this.items.indexOf(this.current);
    const around = [...this.items.slice(index + 1), ...this.items.slice(0, index + 1)];
    const here = around.find((one) => !one.done && !one.gone);
    if (here) return this.select(here);
    if (this.searching) return undefined;
    this.searching = true;
    try {
      await this.sent();
      const next = await this.pages.open(this.current?.key || "");
      if (next) this.show(next.found, next.clip);
      else this.finished();
    } catch (error) {
      this.say(`The next page cannot be read: ${error.message}`, "warn");
    }
    this.searching = false;
    return undefined;
  },

  // Resolves once nothing is on its way, or after five seconds: a queue must know what is done.
  async sent() {
    for (let tries = 0; this.voting.outbox.size && tries < 250; tries += 1) await new Promise((done) => setTimeout(done, 20));
  },

  finished() {
    this.say({ video: "Every clip of this video has your label.", queue: "Your queue is empty.", review: "Every dispute is decided." }[this.options.mode]);
    if (this.options.mode !== "video") this.show({ clips: [], page: 0, pages: 1, total: 0 });
    this.options.finished?.();
  },

  move(by) {
    const index = this.items.indexOf(this.current) + by;
    if (index >= 0 && index < this.items.length) this.select(this.items[index]);
    else if (Math.abs(by) === 1) this.turnPage(by, by < 0);
    return true;
  },

  columns() {
    if (this.focusView.item) return 1;
    const tops = this.items.map((item) => this.cards.get(item.key).node.offsetTop);
    return Math.max(tops.filter((top) => top === tops[0]).length, 1);
  },

  turnPage(by) {
    const page = this.place.page + by;
    if (page < 0 || page >= this.place.pages) return false;
    return this.openPage(page);
  },

  setPlaying(on) {
    this.playing = on;
    this.refreshStages();
    this.toolbar.update();
  },

  step(direction) {
    if (!this.stage) return false;
    if (this.playing) this.setPlaying(false);
    this.stage.player.step(direction);
    return true;
  },

  changeSpeed(by) {
    const index = Math.min(Math.max(SPEEDS.indexOf(this.prefs.speed) + by, 0), SPEEDS.length - 1);
    this.setPref("speed", SPEEDS[index]);
    this.say(`Speed ${SPEEDS[index]}×`);
  },

  markEvent(side) {
    if (!this.stage || !this.stage.player.url) return false;
    const { player } = this.stage;
    const item = this.stage.item;
    const value = Math.round(1000 * (side === "start_s" ? player.frameStart() : player.frameEnd())) / 1000;
    const event = { start_s: item.details.start_s, end_s: item.details.end_s, [side]: value };
    if (event.start_s !== null && event.end_s !== null && event.end_s <= event.start_s) event[side === "start_s" ? "end_s" : "start_s"] = null;
    this.setEvent(item, event);
    return true;
  },

  setEvent(item, { start_s, end_s }) {
    const keep = (value) => (value === null ? null : Math.min(Math.max(Math.round(value * 1000) / 1000, item.clip.start_s), item.clip.end_s));
    item.details = { ...item.details, start_s: keep(start_s), end_s: keep(end_s) };
    this.detailsChanged(item);
  },

  togglePerson(item, id) {
    const ids = item.details.track_ids;
    item.details = { ...item.details, track_ids: ids.includes(id) ? ids.filter((one) => one !== id) : [...ids, id].sort((a, b) => a - b) };
    this.detailsChanged(item);
  },

  clearDetails() {
    if (!this.current) return false;
    this.current.details = detailsOf(null);
    this.detailsChanged(this.current);
    return true;
  },

  // Details belong to a vote: with one standing they are saved at once, else with the next.
  detailsChanged(item) {
    const { mine } = item;
    if (mine && (mine.kind === "label" || mine.kind === "unsure" || mine.kind === "adjudicate" || !mine.kind)) {
      this.voting.cast([[item, { kind: mine.kind === "unsure" ? "unsure" : "label", label: mine.label }]], "person");
    } else this.say("Kept with the label you choose");
    this.changed(item);
    this.toolbar.update();
  },
});
