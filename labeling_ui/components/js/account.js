// Signing out: the server forgets the session, and the browser goes back to the door.

export default function mount({ parentElement }) {
  const root = parentElement.querySelector("main");
  if (root.childElementCount) return undefined;
  const api = new Api();
  const note = h("p", { class: "small", role: "status" });
  const leave = async () => {
    try {
      await api.signIn();
      const unsent = Object.keys(localStorage).filter((key) => key.startsWith(`vigil.outbox.${api.me.name}.`)).length;
      if (unsent) {
        note.textContent = `${unsent} labels are not saved yet: open Label and wait for “All saved”.`;
        return;
      }
      await fetch("/logout", { method: "POST", headers: { "X-Vigil-CSRF": api.me.csrf }, redirect: "manual" });
    } catch {
      note.textContent = "The server does not answer.";
      return;
    }
    window.location.assign("/login");
  };
  root.append(h("button", { type: "button", class: "quiet", onclick: leave }, "Sign out"), note);
  return undefined;
}
