// One clip as the page knows it: the server's word, this annotator's vote, and how it is being kept.

class Item {
  constructor(clip) {
    this.shownAt = 0;
    this.take(clip);
  }

  take(clip) {
    this.clip = clip;
    this.key = clip.key;
    this.mine = clip.mine || null;
    this.state = clip.mine ? "saved" : "open"; // open, saving, saved, failed, refused
    this.problem = "";
    this.details = detailsOf(this.mine);
  }

  get stale() {
    return Boolean(this.mine?.stale);
  }

  get gone() {
    return Boolean(this.clip.gone);
  }

  get done() {
    return this.mine !== null;
  }

  // The details as the API takes them; a begin without an end lasts until the clip's.
  given() {
    const { start_s, end_s, track_ids } = this.details;
    const { clip } = this;
    const timed = start_s !== null || end_s !== null;
    return {
      ...(timed ? { start_s: start_s ?? clip.start_s, end_s: end_s ?? clip.end_s } : {}),
      ...(track_ids.length ? { track_ids } : {}),
    };
  }

  seconds() {
    return this.shownAt ? Math.round((performance.now() - this.shownAt) / 10) / 100 : null;
  }
}

function detailsOf(vote) {
  return {
    start_s: vote?.start_s ?? null, end_s: vote?.end_s ?? null, track_ids: [...(vote?.track_ids || [])],
  };
}

// What a vote says, in words: never by color alone.
function voteText(vote) {
  if (!vote) return "No label yet";
  if (vote.kind === "skip") return `Skipped: ${vote.reason || "no reason"}`;
  if (vote.kind === "unsure") return vote.label ? `Unsure, perhaps ${vote.label}` : "Unsure";
  return vote.label || "";
}

const STATES = {
  open: ["", "", ""],
  saving: ["clock", "saving…", "On its way to the server"],
  saved: ["check", "saved", "On the server's disk"],
  failed: ["refresh", "not saved yet", "Kept in this browser and sent again until the server has it"],
  refused: ["alert", "refused", "The server did not take it"],
};

function stateBadge(item) {
  const [picture, words, meaning] = STATES[item.state];
  if (!words) return null;
  const title = item.problem ? `${meaning}: ${item.problem}` : meaning;
  return h("span", { class: `state ${item.state}`, title }, icon(picture), words);
}
