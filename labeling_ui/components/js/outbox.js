// Decisions on their way to the server, in order. Each is in localStorage until it is acknowledged,
// and is sent with the same tokens however often: the server keeps it once.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;
const MOST_AGE_S = 31536000;
const SIGNED_OUT = "signed out";

class Outbox {
  // `listener` gets (entry, state, detail): state is saving, saved, failed (will be sent again) or
  // refused (will not); detail is the server's answer or the error.
  constructor(api, user, listener) {
    this.api = api;
    this.prefix = `vigil.outbox.${user}.`;
    this.listener = listener;
    this.entries = [];
    this.sending = false;
    this.wait = 0;
    this.problem = "";
    this.count = 0;
    this.closed = false;
  }

  get size() {
    return this.entries.length;
  }

  // Takes up what an earlier page could not send.
  resume() {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
    for (const key of keys) {
      const entry = stored(localStorage, key, null);
      if (entry && !this.entries.some((known) => known.key === key)) this.entries.push({ ...entry, key });
    }
    this.send();
  }

  push(path, body, clips) {
    const order = `${String(Date.now()).padStart(15, "0")}-${String(this.count++).padStart(6, "0")}`;
    const entry = { key: `${this.prefix}${order}-${newToken().slice(0, 8)}`, path, body, clips };
    store(localStorage, entry.key, { path, body, clips });
    this.entries.push(entry);
    this.send(); // first the request, then what the page shows of it
    this.listener(entry, "saving");
  }

  retryNow() {
    clearTimeout(this.timer);
    this.wait = 0;
    this.sending = false;
    this.send();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }

  async send() {
    if (this.sending || this.closed) return;
    this.sending = true;
    while (this.entries.length && !this.closed) {
      if (!(await this.attempt(this.entries[0]))) return;
    }
    this.sending = false;
  }

  async attempt(entry) {
    try {
      const answer = await this.api.post(entry.path, this.aged(entry));
      this.forget(entry);
      this.listener(entry, "saved", answer);
    } catch (error) {
      if (error instanceof Refusal && error.passing) return this.later(entry, error);
      this.forget(entry);
      this.listener(entry, "refused", error);
    }
    return true;
  }

  // How old a decision is when it is sent: what was decided since, elsewhere, goes before it.
  aged({ key, body }) {
    if (!body.votes) return body;
    const since = Date.now() - Number(key.slice(this.prefix.length).split("-")[0]);
    const age = Math.min(Math.max(since / 1000 || 0, 0), MOST_AGE_S);
    return { ...body, votes: body.votes.map((vote) => ({ ...vote, age_s: age })) };
  }

  later(entry, error) {
    this.problem = error.status === 401 ? SIGNED_OUT : error.message;
    this.wait = Math.min(Math.max(this.wait * 2, FIRST_WAIT_MS), LONGEST_WAIT_MS);
    this.listener(entry, "failed", error);
    this.timer = setTimeout(() => {
      this.sending = false;
      this.send();
    }, this.wait);
    return false;
  }

  forget(entry) {
    this.entries = this.entries.filter((known) => known !== entry);
    store(localStorage, entry.key, null);
    this.wait = 0;
    this.problem = "";
  }
}
