// What the page asks of the server. Every request says that the page asks it.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let csrf = "";

export async function ask(method, path, fields = null, automatic = false) {
  const headers = { "X-Siprec-Console": automatic ? "automatic" : "page" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  let answer;
  try {
    const body = fields && new URLSearchParams(fields);
    answer = await fetch(path, { method, headers, body, credentials: "same-origin" });
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, found.message || `Status ${answer.status}`);
  if (found.csrf) csrf = found.csrf;
  return found;
}
