// The list of videos: thumbnail, length, progress, state; filtered and sorted in the browser.

const CHUNK = 60;
const STATE_WORDS = { open: "Not begun", going: "In progress", done: "All labeled by you", team: "Finished by the team" };

function stateOf(video) {
  if (video.n_clips && video.mine >= video.n_clips) return "done";
  if (video.n_clips && video.done >= video.n_clips) return "team";
  return video.mine ? "going" : "open";
}

const SORTS = {
  name: ["Name", (a, b) => a.video.localeCompare(b.video, undefined, { numeric: true })],
  left: ["Most left to label", (a, b) => (b.n_clips - b.mine) - (a.n_clips - a.mine)],
  least: ["Nearest to done", (a, b) => b.mine / (b.n_clips || 1) - a.mine / (a.n_clips || 1)],
  length: ["Longest", (a, b) => b.duration_s - a.duration_s],
};

class VideoList {
  constructor(root, open) {
    Object.assign(this, { root, open, videos: [], shown: 0, api: new Api() });
    const kept = stored(sessionStorage, "vigil.videos", { text: "", state: "", sort: "name" });
    this.text = h("input", { type: "search", placeholder: "Find a video…", "aria-label": "Find a video", value: kept.text, oninput: () => this.list() });
    this.state = this.select("State", [["", "Any state"], ...Object.entries(STATE_WORDS)], kept.state);
    this.sort = this.select("Order", Object.entries(SORTS).map(([key, [text]]) => [key, text]), kept.sort);
    this.summary = h("span", { class: "count", role: "status" });
    this.rows = h("div", { class: "videos", role: "list" });
    this.more = h("div", { class: "more" });
    this.eyes = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.extend(), { rootMargin: "400px" });
    this.eyes.observe(this.more);
  }

  select(name, options, value) {
    const node = h("select", { "aria-label": name }, options.map(([key, text]) => h("option", { value: key }, text)));
    node.value = value;
    node.addEventListener("change", () => this.list());
    return node;
  }

  async start() {
    this.root.replaceChildren(h("div", { class: "bar" }, this.text, this.state, this.sort, h("span", { class: "gap" }), this.summary), this.rows, this.more);
    try {
      this.videos = (await this.api.get("/api/videos")).videos;
      this.list();
    } catch (error) {
      this.rows.replaceChildren(h("div", { class: "empty" }, icon("alert"), h("p", {}, `The videos cannot be read: ${error.message}.`), h("button", { type: "button", class: "quiet", onclick: () => this.start() }, "Try again")));
    }
  }

  list() {
    const [text, state, sort] = [this.text.value, this.state.value, this.sort.value];
    store(sessionStorage, "vigil.videos", { text, state, sort });
    const wanted = text.trim().toLowerCase();
    this.found = this.videos.filter((one) => one.video.toLowerCase().includes(wanted) && (!state || stateOf(one) === state)).sort(SORTS[sort][1]);
    const clips = this.found.reduce((sum, one) => sum + one.n_clips, 0);
    const mine = this.found.reduce((sum, one) => sum + one.mine, 0);
    this.summary.textContent = `${this.found.length} videos · ${mine} of ${clips} clips labeled by you`;
    this.shown = 0;
    this.rows.replaceChildren();
    this.extend();
    if (!this.found.length) this.rows.replaceChildren(h("div", { class: "empty" }, icon("film"), h("p", {}, this.videos.length ? "No video is called that." : "There are no clips yet: run `dvc repro clips` first.")));
  }

  extend() {
    const next = (this.found || []).slice(this.shown, this.shown + CHUNK);
    this.shown += next.length;
    this.rows.append(...next.map((video) => this.row(video)));
  }

  row(video) {
    const state = stateOf(video);
    const share = video.n_clips ? (100 * video.mine) / video.n_clips : 0;
    const image = h("img", { src: video.thumb, alt: "", loading: "lazy", width: "128", height: "72" });
    image.addEventListener("error", () => image.replaceWith(h("span", { class: "thumb" }, icon("film"))), { once: true });
    const bar = h("span", { class: "progress", role: "progressbar", "aria-label": "Clips labeled by you", "aria-valuemin": "0", "aria-valuenow": String(video.mine), "aria-valuemax": String(video.n_clips) }, h("i", {}));
    bar.firstChild.style.width = `${share}%`;
    return h("a", {
      class: `video ${state}`, role: "listitem", href: `label?video=${encodeURIComponent(video.key)}`, "data-video": video.key,
      onclick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.open(video.key);
      },
    },
    image, h("span", { class: "name" }, h("b", {}, video.video), h("span", { class: "small" }, `${clockTime(Math.round(video.duration_s)).slice(0, -3)} · ${video.n_clips} ${video.n_clips === 1 ? "clip" : "clips"}`)),
    bar, h("span", { class: "count" }, `${video.mine} of ${video.n_clips}`),
    h("span", { class: `video-state ${state}` }, icon({ open: "film", going: "clock", done: "check", team: "check" }[state]), STATE_WORDS[state]));
  }

  close() {
    this.eyes.disconnect();
  }
}

const LISTS = new WeakMap();

export default function mount({ parentElement, setTriggerValue }) {
  if (!LISTS.has(parentElement)) {
    const list = new VideoList(parentElement.querySelector("main"), (key) => setTriggerValue("video", key));
    LISTS.set(parentElement, list);
    list.start();
  }
  return () => {
    LISTS.get(parentElement)?.close();
    LISTS.delete(parentElement);
  };
}
