// Forms that call the API. In HTML they say what to do:
//   data-api="POST /user"       the call; the fields are its body, by their names
//   data-then="/ui/users"       where to go afterwards ("reload": here again, "stay": nowhere)
//   data-done="Saved"           what to say afterwards, also after going there
//   data-equals="..."           on a field: the text that has to be typed in
//   data-same-as="other-id"     on a field: the field that it has to repeat
import { ApiError, announce, api, showErrors } from "./api.js";

export function wireForms() {
  for (const form of document.querySelectorAll("form[data-api]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form, () => api(...form.dataset.api.split(" "), body(form)));
    });
    for (const field of form.querySelectorAll("[data-equals]")) gate(form, field);
  }
  const said = take("announcement");
  if (said) announce(said);
}

// Show that the form is at work, do it, and show what went wrong or go on.
export async function submit(form, call) {
  const errors = form.querySelector(".errors");
  const button = form.querySelector("button[type=submit]");
  if (form.getAttribute("aria-busy") === "true") return;
  const faults = [...form.querySelectorAll("[data-same-as]")]
    .filter((field) => field.value !== document.getElementById(field.dataset.sameAs).value)
    .map((field) => field.dataset.differs);
  showErrors(errors, faults);
  if (faults.length) return;
  form.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    const answer = await call();
    goOn(form, answer);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showErrors(errors, error.messages);
    const field = error.detail.parameter && form.elements[error.detail.parameter];
    if (field?.focus) {
      field.setAttribute("aria-invalid", "true");
      field.addEventListener("input", () => field.removeAttribute("aria-invalid"), { once: true });
      field.focus();
    }
  } finally {
    form.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

function goOn(form, answer) {
  const { then = "stay", done = "" } = form.dataset;
  if (then === "stay") {
    form.reset();
    if (done) announce(done);
    return;
  }
  if (done) leave("announcement", done);
  if (then === "reload") location.reload();
  else location.assign(then.replace("{id}", encodeURIComponent(answer?.id ?? "")));
}

function body(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.name === "_xsrf" || field.disabled) continue;
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.type !== "radio" || field.checked) values[field.name] = field.value;
  }
  return Object.keys(values).length ? values : undefined;
}

// The button can be pressed once the text is typed in; the server does not ask, so this guards against slips only.
function gate(form, field) {
  const button = form.querySelector("button[type=submit]");
  // Pages show runs of spaces as one, so that is what people type.
  const tidy = (text) => text.normalize().replace(/\s+/g, " ").trim();
  const check = () => (button.disabled = tidy(field.value) !== tidy(field.dataset.equals));
  field.addEventListener("input", check);
  form.addEventListener("reset", () => setTimeout(check));
  check();
}

// What the next page is to say.
function leave(name, text) {
  try {
    sessionStorage.setItem(name, text);
  } catch {
    // Then it says nothing.
  }
}

function take(name) {
  try {
    const text = sessionStorage.getItem(name);
    sessionStorage.removeItem(name);
    return text;
  } catch {
    return null;
  }
}
