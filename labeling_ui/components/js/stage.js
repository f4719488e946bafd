// The picture of a clip with everything on it: video, overlay, time line, and what went wrong.

class Stage {
  constructor(item, surface, large) {
    Object.assign(this, { item, surface, large, on: false });
    const { clip } = item;
    this.video = h("video", { muted: true, playsinline: true, poster: clip.media.thumb, "aria-label": `Clip ${clip.clip_id}`, tabindex: "-1" });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.notice = h("div", { class: "notice", hidden: true });
    this.frameBox = h("div", { class: "picture" }, this.video, this.canvas, this.notice);
    this.overlay = new Overlay(this.canvas);
    this.player = new Player(this.video, (time) => this.shown(time), (url) => this.failed(url));
    this.timeline = new Timeline(clip.start_s, clip.end_s, (time) => this.player.seek(time), (event) => surface.setEvent(item, event));
    this.node = h("div", { class: "stage" }, this.frameBox, this.timeline.node);
    this.frameBox.addEventListener("click", (event) => this.clicked(event));
    this.frameBox.addEventListener("dblclick", () => surface.focusOn(item));
    this.update();
  }

  shown(time) {
    const now = performance.now();
    if (this.large || this.player.video.paused || now - (this.moved || 0) > 90) {
      this.timeline.at(time);
      this.moved = now;
    }
    this.overlay.draw(time);
  }

  clicked(event) {
    const person = this.overlay.show.boxes || this.large ? this.overlay.at(event, this.player.time) : null;
    this.surface.select(this.item);
    if (person !== null && this.overlay.show.boxes) this.surface.togglePerson(this.item, person);
    else if (this.large) this.surface.act("play");
  }

  source() {
    const { media } = this.item.clip;
    return this.surface.prefs.silhouette && media.silhouette ? media.silhouette : media.raw;
  }

  // Loads and plays while somebody can see it.
  activate(on) {
    this.on = on;
    if (!on) {
      this.player.close();
      return;
    }
    if (!this.item.shownAt) this.item.shownAt = performance.now();
    this.refresh();
  }

  refresh() {
    if (!this.on) return;
    const { clip } = this.item;
    const { prefs } = this.surface;
    this.player.loop = prefs.loop;
    this.player.speed(prefs.speed);
    if (this.player.url !== this.source()) {
      this.notice.hidden = true;
      this.player.open(this.source(), clip.start_s, clip.end_s);
    }
    if (this.surface.playing) this.player.play();
    else this.player.pause();
    this.overlay.show = { boxes: prefs.boxes, skeletons: prefs.skeletons };
    if (this.large || prefs.boxes || prefs.skeletons) this.loadOverlay();
    this.overlay.draw(this.player.time);
  }

  async loadOverlay() {
    if (this.overlay.data || this.loading) return;
    this.loading = true;
    try {
      this.overlay.data = await this.surface.api.get(this.item.clip.media.overlay);
      const times = this.overlay.data.frames.map((frame) => frame.t);
      if (times.length > 1) this.player.times = times;
      this.overlay.draw(this.player.time);
      if (this.large) this.surface.focusView?.update();
    } catch {
      this.overlay.data = null; // no tracks or skeletons: the video itself is still good
    }
    this.loading = false;
  }

  async failed(url) {
    let reason = "This video cannot be played";
    try {
      await this.surface.api.call(url, { method: "GET", headers: { Range: "bytes=0-0" } });
    } catch (error) {
      if (error.status === 404) reason = "The video file is missing";
      if (error.status === 401) reason = "Signed out";
      if (error.message.includes("does not answer")) reason = "The server does not answer";
    }
    this.notice.replaceChildren(icon("alert"), h("span", {}, reason), h("button", {
      type: "button", class: "quiet", onclick: click(() => { this.player.url = ""; this.refresh(); }),
    }, "Try again"));
    this.notice.hidden = false;
  }

  update() {
    const { details } = this.item;
    this.timeline.set(details);
    this.overlay.chosen = new Set(details.track_ids);
    this.overlay.draw(this.player.time);
  }
}
