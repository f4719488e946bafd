// Plays the window [start, end) of a whole video, and says which frame is on the screen.

const FRAME_GUESS_S = 1 / 25;

class Player {
  // `shown` gets the presentation time in seconds of each frame that appears.
  constructor(video, shown, failed) {
    this.video = video;
    this.shown = shown;
    this.time = 0;
    this.times = null; // of all frames in the window, when known
    this.wanted = false;
    this.loop = true;
    this.gap = FRAME_GUESS_S;
    this.url = "";
    video.muted = true;
    video.playsInline = true;
    video.disablePictureInPicture = true;
    video.addEventListener("loadedmetadata", () => this.begin());
    video.addEventListener("timeupdate", () => this.turn(video.currentTime));
    video.addEventListener("seeked", () => this.frame(video.currentTime));
    video.addEventListener("ended", () => this.turn(Infinity));
    video.addEventListener("error", () => this.url && failed(this.url));
    if (video.requestVideoFrameCallback) this.watch();
  }

  open(url, start, end) {
    const at = this.url && this.start === start ? this.time : start;
    Object.assign(this, { url, start, end, time: at });
    this.video.preload = "auto";
    this.video.src = url;
  }

  close() {
    this.url = "";
    clearTimeout(this.timer);
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }

  begin() {
    this.video.currentTime = Math.max(this.time, this.start) + 0.001;
    this.video.playbackRate = this.rate || 1;
    if (this.wanted) this.play();
  }

  watch() {
    this.video.requestVideoFrameCallback((now, meta) => {
      const gap = meta.mediaTime - this.time;
      if (gap > 0.005 && gap < 0.2) this.gap = gap;
      this.frame(meta.mediaTime);
      this.watch();
    });
  }

  frame(time) {
    if (!this.url || this.video.seeking) return; // on its way elsewhere
    this.time = time;
    this.turn(time);
    this.shown(time);
  }

  // The last frame of the window is shown for as long as it lasts, and then none after it.
  turn(time) {
    if (!this.url || this.video.paused && time !== Infinity || time < this.end - 1.5 * this.gap) return;
    clearTimeout(this.timer);
    const left = Math.max(this.end - time, 0) / this.video.playbackRate;
    this.timer = setTimeout(() => this.atEnd(), left * 1000);
  }

  atEnd() {
    if (!this.url) return;
    if (!this.loop) {
      this.pause();
      this.video.currentTime = this.lastFrame();
      return;
    }
    this.video.currentTime = this.start + 0.001;
    if (this.wanted) this.play();
  }

  lastFrame() {
    return this.times ? this.times[this.times.length - 1] + 0.001 : Math.max(this.end - this.gap, this.start);
  }

  play() {
    this.wanted = true;
    if (!this.url || !this.video.paused) return;
    if (this.time >= this.end - this.gap / 2) this.video.currentTime = this.start + 0.001;
    this.video.play().catch(() => undefined); // refused while hidden; played when shown again
  }

  pause() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.video.pause();
  }

  speed(rate) {
    this.rate = rate;
    this.video.playbackRate = rate;
  }

  // Where it goes counts at once, so that quick steps add up.
  seek(time) {
    this.time = Math.min(Math.max(time, this.start), this.lastFrame());
    this.video.currentTime = this.time + 0.001;
  }

  step(direction) {
    this.pause();
    if (!this.times) return this.seek(this.time + direction * this.gap);
    const now = this.index(this.time);
    const index = Math.min(Math.max(now + direction, 0), this.times.length - 1);
    return this.seek(this.times[index]);
  }

  // Place in `times` of the frame that is on the screen at `time`.
  index(time) {
    let found = 0;
    while (found + 1 < this.times.length && this.times[found + 1] <= time + 0.004) found += 1;
    return found;
  }

  // When the frame on the screen begins and ends.
  frameStart() {
    return this.times ? this.times[this.index(this.time)] : Math.max(this.time, this.start);
  }

  frameEnd() {
    const after = this.times ? this.times[this.index(this.time) + 1] : this.time + this.gap;
    return Math.min(after === undefined ? this.end : after, this.end);
  }
}
