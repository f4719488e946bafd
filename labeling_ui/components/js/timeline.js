// A clip's time from left to right: where the picture is, and from when to when the event lasts.

class Timeline {
  // `seek` gets seconds; `change` gets {start_s, end_s} when a handle has been let go.
  constructor(start, end, seek, change) {
    Object.assign(this, { start, end, seek, change, event: { start_s: null, end_s: null } });
    this.range = h("div", { class: "range" });
    this.head = h("i", {});
    this.handles = ["start_s", "end_s"].map((side) => this.handle(side));
    this.node = h("div", { class: "timeline" }, this.range, h("div", { class: "head" }, this.head), this.handles);
    this.node.addEventListener("pointerdown", (event) => this.pressed(event));
    this.node.addEventListener("dblclick", (event) => event.stopPropagation());
  }

  handle(side) {
    const name = side === "start_s" ? "Begin of the event" : "End of the event";
    return h("div", {
      class: `handle ${side}`, role: "slider", tabindex: "-1", "aria-label": name,
      "aria-valuemin": this.start, "aria-valuemax": this.end, onpointerdown: (event) => this.grab(event, side),
      onkeydown: (event) => this.nudge(event, side),
    });
  }

  place(seconds) {
    return `${(100 * Math.min(Math.max((seconds - this.start) / (this.end - this.start), 0), 1)).toFixed(3)}%`;
  }

  at(time) {
    this.head.style.transform = `translateX(${this.place(time)})`;
  }

  set(event) {
    this.event = { start_s: event.start_s ?? null, end_s: event.end_s ?? null };
    const { start_s: from, end_s: to } = this.event;
    this.node.classList.toggle("marked", from !== null || to !== null);
    this.range.style.left = this.place(from ?? this.start);
    this.range.style.right = `calc(100% - ${this.place(to ?? this.end)})`;
    this.handles[0].style.left = this.place(from ?? this.start);
    this.handles[1].style.left = this.place(to ?? this.end);
    [from ?? this.start, to ?? this.end].forEach((value, index) => {
      this.handles[index].setAttribute("aria-valuenow", value.toFixed(3));
      this.handles[index].setAttribute("aria-valuetext", clockTime(value));
    });
  }

  secondsAt(event) {
    const box = this.node.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return this.start + share * (this.end - this.start);
  }

  pressed(event) {
    event.preventDefault();
    event.stopPropagation();
    this.follow(event, (seconds) => this.seek(seconds), () => undefined);
    this.seek(this.secondsAt(event));
  }

  grab(event, side) {
    event.preventDefault();
    event.stopPropagation();
    const move = (seconds) => {
      this.set(this.moved(side, seconds));
      this.seek(seconds);
    };
    this.follow(event, move, () => this.change(this.event));
  }

  moved(side, seconds) {
    const least = 0.04;
    const { start_s: from, end_s: to } = this.event;
    if (side === "start_s") return { start_s: Math.min(seconds, (to ?? this.end) - least), end_s: to };
    return { start_s: from, end_s: Math.max(seconds, (from ?? this.start) + least) };
  }

  nudge(event, side) {
    const by = { ArrowLeft: -0.04, ArrowRight: 0.04 }[event.key];
    if (!by) return;
    event.preventDefault();
    const now = this.event[side] ?? (side === "start_s" ? this.start : this.end);
    this.set(this.moved(side, Math.min(Math.max(now + by, this.start), this.end)));
    this.change(this.event);
  }

  follow(event, move, done) {
    this.node.setPointerCapture(event.pointerId);
    const moving = (next) => move(this.secondsAt(next));
    const stop = () => {
      this.node.removeEventListener("pointermove", moving);
      done();
    };
    this.node.addEventListener("pointermove", moving);
    this.node.addEventListener("lostpointercapture", stop, { once: true });
  }
}
