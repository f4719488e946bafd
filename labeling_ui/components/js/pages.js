// Where the clips come from, page by page.

class VideoPages {
  constructor(api, video, size) {
    Object.assign(this, { api, video, size });
  }

  load(page) {
    return this.api.get(`/api/clips?video=${encodeURIComponent(this.video)}&page=${page}&size=${this.size}`);
  }

  // The page with the first clip after `after`, round the end, that can be labeled and is not.
  async open(after) {
    for (const passed = new Set(); ; passed.add(after)) {
      const query = `video=${encodeURIComponent(this.video)}&after=${after}&size=${this.size}`;
      const next = await this.api.get(`/api/next?${query}`);
      if (!next.clip || passed.has(next.clip)) return null;
      const found = await this.load(next.page);
      if (found.clips.some((clip) => clip.key === next.clip && !clip.gone)) return { found, clip: next.clip };
      after = next.clip;
    }
  }
}

// The queue is dealt: what has my vote leaves it, so that the next page is always the first.
class QueuePages {
  constructor(api, size) {
    Object.assign(this, { api, size });
  }

  async load() {
    const found = await this.api.get(`/api/queue?n=${this.size}`);
    return { ...found, page: 0, pages: 1 };
  }

  async open() {
    const found = await this.load();
    return found.clips.some((clip) => !clip.mine && !clip.gone) ? { found } : null;
  }
}

class DisputedPages {
  constructor(api, size) {
    Object.assign(this, { api, size });
  }

  // What stands of a reviewer's own as an annotator is one of the votes, not the decision.
  async load(page) {
    const found = await this.api.get(`/api/disputed?page=${page}&size=${this.size}`);
    return { ...found, clips: found.clips.map((clip) => ({ ...clip, mine: null })) };
  }

  async open() {
    const found = await this.load(0);
    return found.clips.length ? { found } : null;
  }
}

function pagesFor(options, api) {
  if (options.mode === "queue") return new QueuePages(api, options.pageSize);
  if (options.mode === "review") return new DisputedPages(api, options.pageSize);
  return new VideoPages(api, options.video, options.pageSize);
}
