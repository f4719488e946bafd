// What an annotator decides, and how the page hears that it is safe.

class Voting {
  constructor(surface) {
    this.surface = surface;
    this.outbox = new Outbox(surface.api, surface.api.me.name, (entry, state, detail) => this.heard(entry, state, detail));
  }

  // Casts one vote a clip, all in one message: `decisions` are [item, {kind, label, reason}].
  cast(decisions, source) {
    const votes = decisions.map(([item, decision]) => this.draft(item, decision, source));
    decisions.forEach(([item, decision], index) => {
      Object.assign(item, { mine: { ...decision, ...votes[index] }, state: "saving", problem: "" });
    });
    const path = this.surface.options.mode === "review" ? "/api/adjudicate" : "/api/votes";
    this.outbox.push(path, { votes }, votes.map((vote) => vote.clip));
  }

  draft(item, { kind, label, reason }, source) {
    const offer = this.surface.suggestionOf(item);
    const seconds = item.seconds();
    const vote = { token: newToken(), clip: item.key, ...(label ? { label } : {}), ...(reason ? { reason } : {}), ...item.given() };
    if (this.surface.options.mode === "review") return vote;
    return { ...vote, kind, source, ...(offer ? { suggested: offer.label } : {}), ...(seconds === null ? {} : { seconds }) };
  }

  // Takes back, or does again, the newest action; which one that is the server knows.
  turn(direction) {
    this.outbox.push(`/api/${direction}`, { token: newToken() }, []);
  }

  // The page shows the server's word, unless a younger decision on the clip is still on its way.
  heard(entry, state, detail) {
    const { surface } = this;
    if (state === "saved") this.saved(entry, detail);
    else {
      for (const item of surface.items.filter((one) => entry.clips.includes(one.key))) {
        item.state = state;
        item.problem = detail?.message || "";
        if (state === "refused") item.mine = item.clip.mine || null;
        surface.changed(item);
      }
    }
    if (state === "refused") surface.say(`Not saved: ${detail.message}`, "warn");
    surface.heard(state, entry);
  }

  saved(entry, answer) {
    const { surface } = this;
    const waiting = new Set(this.outbox.entries.flatMap((one) => one.clips));
    const changes = answer.clips || answer.votes.map((vote, index) => ({ key: entry.clips[index], mine: vote.late ? vote.stands : vote }));
    for (const { key, mine } of changes) {
      const item = surface.items.find((one) => one.key === key);
      if (!item || waiting.has(key)) continue;
      item.take({ ...item.clip, mine });
      surface.changed(item);
    }
    const late = (answer.votes || []).filter((vote) => vote.late).length;
    if (late) surface.say(`${late === 1 ? "A label" : `${late} labels`} kept in this browser came after newer ones of yours: saved, and the newer ones stand`, "warn");
    if (answer.clips) surface.turned(entry.path, changes.map((one) => one.key));
  }
}
