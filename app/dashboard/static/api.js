// The one way in which pages call the API.

const token = document.querySelector('meta[name="xsrf-token"]')?.content ?? "";

// What the server refused, as a sentence for the reader; `detail` is for programs.
export class ApiError extends Error {
  constructor(status, message, detail = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
  }

  // All that was wrong, one sentence each.
  get messages() {
    const errors = this.detail.errors;
    return Array.isArray(errors) && errors.length
      ? errors.map((one) => `In ${one.script}, line ${one.line}: ${one.message}`)
      : [this.message];
  }
}

export function toSignIn() {
  document.dispatchEvent(new CustomEvent("signedout"));
  location.assign(`/ui/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// A 401 is also the answer for what belongs to somebody else: only whoever is no longer signed in has to sign in.
async function isSignedIn() {
  try {
    return (await fetch("/user", { cache: "no-store" })).ok;
  } catch {
    return true;
  }
}

// Call the API; resolves to its answer, rejects with an ApiError. `options.signal` ends it early.
export async function api(method, path, body, options = {}) {
  const headers = { "X-XSRFToken": token, ...options.headers };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: options.signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. Check your connection and try again.");
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new ApiError(response.status, "The server gave an answer that could not be read.");
  }
  if (response.ok) return answer;
  if (response.status === 401 && !(await isSignedIn())) {
    toSignIn();
    throw new ApiError(401, "You are no longer signed in.");
  }
  const message = answer?.error?.message ?? `The server answered ${response.status}.`;
  throw new ApiError(response.status, message, answer?.error?.detail);
}

// Show messages as a list that is read aloud; none hides it. Text is only ever set as text.
export function showErrors(box, messages) {
  const list = document.createElement("ul");
  for (const message of messages) {
    const item = document.createElement("li");
    item.textContent = sentence(message);
    list.append(item);
  }
  box.replaceChildren(...(messages.length ? [list] : []));
  box.hidden = messages.length === 0;
}

function sentence(message) {
  const text = String(message);
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

// Tell of a success, in words that are read aloud and go by themselves.
export function announce(message) {
  let box = document.getElementById("announcement");
  if (!box) {
    box = document.createElement("div");
    box.id = "announcement";
    box.className = "toast";
    box.setAttribute("role", "status");
    document.body.append(box);
  }
  box.textContent = message;
  box.classList.add("shown");
  clearTimeout(box.timer);
  box.timer = setTimeout(() => box.classList.remove("shown"), 5000);
}
