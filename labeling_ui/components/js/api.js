// The server's HTTP API. Every failure is a Refusal that says whether trying again can help.

class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  // What the server has judged (4xx) stays judged; a lost connection, 429, 5xx and a full disk pass.
  get passing() {
    return this.status === 0 || this.status === 401 || this.status === 429 || this.status >= 500;
  }
}

class Api {
  constructor() {
    this.me = null;
  }

  async signIn() {
    this.me = await this.get("/api/me");
    return this.me;
  }

  get(path) {
    return this.call(path, { method: "GET" });
  }

  async post(path, body) {
    try {
      return await this.call(path, this.written(body));
    } catch (error) {
      if (error.status !== 403) throw error;
      await this.signIn(); // the session was renewed elsewhere, and its CSRF token with it
      return this.call(path, this.written(body));
    }
  }

  written(body) {
    return {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Vigil-CSRF": this.me ? this.me.csrf : "" },
      body: JSON.stringify(body),
    };
  }

  async call(path, options) {
    let answer;
    try {
      answer = await fetch(path, {
        ...options, credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(20000),
      });
    } catch {
      throw new Refusal("the server does not answer", 0);
    }
    let body = null;
    try {
      body = await answer.json();
    } catch {
      if (answer.ok) throw new Refusal("the server's answer broke off", 0);
    }
    if (!answer.ok) throw new Refusal((body && body.error) || `status ${answer.status}`, answer.status);
    return body;
  }
}
