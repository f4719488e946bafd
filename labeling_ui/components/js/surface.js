// The labeling surface: clips in a grid or one at a time, played, labeled by key, kept safe.

class Surface {
  constructor(root, options) {
    Object.assign(this, { root, options, items: [], cards: new Map(), current: null });
    this.commandKeys = commandKeys(options.classes.map((one) => one.key));
    this.api = new Api();
    this.place = { page: 0, pages: 1, total: 0 };
    this.prefs = {
      silhouette: options.silhouetteFirst, skeletons: false, boxes: false, loop: true, speed: 1, advance: true,
      ...stored(localStorage, "vigil.prefs", {}), ...(options.silhouetteFirst ? { silhouette: true } : {}),
    };
    this.playing = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.showsVideo = options.mode !== "video";
    this.classIndex = new Map(options.classes.map((one, index) => [one.name, index]));
    this.eyes = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) this.cards.get(target.dataset.clip)?.stage.activate(isIntersecting && !this.focusView.item);
    }, { rootMargin: "60px" });
    this.back = () => this.voting?.outbox.problem && this.voting.outbox.retryNow();
    this.leaving = (event) => { if (this.voting?.outbox.size) event.preventDefault(); };
  }

  async start() {
    this.grid = h("div", { class: "grid" });
    this.live = h("div", { class: "toast", role: "status", "aria-live": "polite" });
    this.root.replaceChildren(h("div", { class: "empty" }, "Loading…"));
    this.pages = pagesFor(this.options, this.api);
    let first;
    try {
      [, first] = await Promise.all([this.api.signIn(), this.pages.load(0)]);
    } catch (error) {
      return this.cannot(error);
    }
    if (this.closed) return undefined;
    this.voting = new Voting(this);
    this.keys = new Keys(this.options.classes.map((one) => one.key), (...command) => this.act(...command));
    this.focusView = new FocusView(this);
    this.dialogs = new Dialogs(this);
    this.toolbar = new Toolbar(this);
    this.root.replaceChildren(this.toolbar.node, this.grid, this.focusView.node, this.dialogs.node, this.live);
    window.addEventListener("beforeunload", this.leaving);
    window.addEventListener("focus", this.back);
    this.voting.outbox.resume();
    this.show(first, this.options.clip);
    if (this.options.mode === "review" && this.current) this.focusOn(this.current);
    return undefined;
  }

  close() {
    this.closed = true;
    this.keys?.close();
    this.eyes.disconnect();
    this.focusView?.close();
    for (const card of this.cards.values()) card.stage.activate(false);
    this.voting?.outbox.close();
    window.removeEventListener("beforeunload", this.leaving);
    window.removeEventListener("focus", this.back);
  }

  cannot(error) {
    const again = h("button", { type: "button", class: "quiet", onclick: click(() => this.start()) }, "Try again");
    const text = error.status === 401 ? "You are signed out." : `The clips cannot be read: ${error.message}.`;
    this.root.replaceChildren(h("div", { class: "empty" }, icon("alert"), h("p", {}, text),
      error.status === 401 ? h("a", { href: "/login", target: "_top" }, "Sign in") : again));
  }

  async openPage(page, clip) {
    try {
      this.show(await this.pages.load(page), clip);
    } catch (error) {
      this.say(`The page cannot be read: ${error.message}`, "warn");
      if (!this.items.length) this.grid.replaceChildren(h("div", { class: "empty" }, icon("alert"), h("p", {}, error.message), h("button", { type: "button", class: "quiet", onclick: click(() => this.openPage(page, clip)) }, "Try again")));
    }
  }

  // Puts a page of clips on the screen; what is still on its way stays visible as such.
  show(found, clip) {
    if (this.closed) return;
    const large = Boolean(this.focusView.item);
    this.focusView.close();
    this.eyes.disconnect();
    for (const card of this.cards.values()) card.stage.activate(false);
    this.place = { page: found.page, pages: found.pages, total: found.total, done: found.done };
    this.items = found.clips.map((one) => new Item(one));
    this.doneBefore = this.items.filter((item) => item.done).length;
    this.overlayPending();
    this.current = null;
    this.cards = new Map(this.items.map((item) => [item.key, new Card(item, this)]));
    this.grid.replaceChildren(...[...this.cards.values()].map((card) => card.node));
    if (!this.items.length) this.grid.replaceChildren(this.nothing());
    for (const card of this.cards.values()) this.eyes.observe(card.node);
    const first = this.items.find((item) => item.key === clip) || this.items.find((item) => !item.done) || this.items[0];
    if (first) this.select(first);
    this.toolbar.update();
    if (large && first) this.focusOn(first);
    else this.grid.hidden = false;
  }

  overlayPending() {
    for (const { clips, body } of this.voting.outbox.entries) {
      clips.forEach((key, index) => {
        const item = this.items.find((one) => one.key === key);
        const vote = body.votes[index];
        if (item) Object.assign(item, { state: "saving", mine: { kind: "label", ...vote }, details: detailsOf(vote) });
      });
    }
  }

  nothing() {
    const texts = {
      video: "This video has no clips.", queue: "Nothing waits for you. Well done.", review: "Nobody disagrees. Nothing to review.",
    };
    return h("div", { class: "empty" }, icon("check"), h("p", {}, texts[this.options.mode]));
  }

  doneCount() {
    const here = this.items.filter((item) => item.done).length;
    if (this.options.mode === "queue") return here;
    return (this.place.done ?? this.doneBefore) + here - this.doneBefore;
  }

  // --- what others ask of the surface ---

  keysOf(command) {
    return this.commandKeys.get(command);
  }

  keyOf(command) {
    return keyLabel(this.keysOf(command)[0] || "");
  }

  colorOf(label) {
    const index = this.classIndex.get(label);
    return index === undefined ? "transparent" : this.options.classes[index].color;
  }

  suggestionOf(item) {
    const { suggestion } = item.clip;
    return suggestion && this.classIndex.has(suggestion.label) ? suggestion : null;
  }

  changed(item) {
    this.cards.get(item.key)?.update();
    if (this.focusView.item === item) this.focusView.update();
  }

  heard(state, entry) {
    this.toolbar.update();
    if (state === "saved") this.root.dispatchEvent(new CustomEvent("vigil:saved", { detail: entry.clips, bubbles: true, composed: true }));
  }

  // Signing in happens in another tab; the labels wait here, and go when this one is looked at.
  retry() {
    if (this.voting.outbox.problem === SIGNED_OUT) window.open("/", "_blank", "noopener");
    else this.voting.outbox.retryNow();
  }

  turned(path, keys) {
    const words = path.endsWith("undo") ? ["undo", "Taken back"] : ["redo", "Done again"];
    const item = this.items.find((one) => keys.includes(one.key));
    if (!keys.length) this.say(`Nothing to ${words[0]}`);
    else this.say(`${words[1]}: ${keys.length === 1 ? "one clip" : `${keys.length} clips`}${item ? "" : " on another page"}`);
    if (item) this.select(item);
  }

  say(text, kind = "") {
    this.live.className = `toast show ${kind}`;
    this.live.textContent = text;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.live.classList.remove("show"), kind ? 8000 : 3500);
  }

  setPref(name, value) {
    this.prefs[name] = value;
    store(localStorage, "vigil.prefs", this.prefs);
    this.refreshStages();
    this.toolbar.update();
  }

  refreshStages() {
    for (const card of this.cards.values()) card.stage.refresh();
    this.focusView.stage?.refresh();
    this.focusView.update();
  }

  get stage() {
    return this.focusView.stage || this.cards.get(this.current?.key)?.stage || null;
  }

  select(item, focus = true) {
    if (this.current !== item) {
      const before = this.current;
      this.current = item;
      if (!item.shownAt) item.shownAt = performance.now();
      if (before) this.changed(before);
      this.changed(item);
    }
    const { node } = this.cards.get(item.key);
    const inside = node.contains(this.root.getRootNode().activeElement);
    if (focus && !inside && !this.focusView.item && !this.dialogs.open) node.focus({ preventScroll: true });
    if (focus) node.scrollIntoView({ block: "nearest", behavior: "instant" });
    if (this.focusView.item && this.focusView.item !== item) this.focusView.open(item);
  }

  focusOn(item) {
    this.grid.hidden = true;
    for (const card of this.cards.values()) card.stage.activate(false);
    this.select(item, false);
    this.focusView.open(item);
    this.toolbar.update();
  }

  leaveFocus() {
    if (!this.focusView.item || this.options.mode === "review") return false;
    this.focusView.close();
    this.grid.hidden = false;
    for (const card of this.cards.values()) { this.eyes.unobserve(card.node); this.eyes.observe(card.node); }
    this.select(this.current);
    return true;
  }
}
