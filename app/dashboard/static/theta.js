// Theta in a trial: what would change, before and after, and all of it.
import { folded, shown } from "./values.js";

// Elements that say what a trial would do to theta; `nothing` is said if it changes none.
export function thetaParts(theta, nothing) {
  const parts = [theta.changes.length ? changesTable(theta.changes) : paragraph(nothing)];
  if (theta.more_changes) parts.push(paragraph(`And ${theta.more_changes} more changes, too many to show.`));
  if (theta.after && Object.keys(theta.after).length) parts.push(folded("All of theta after it", shown(theta.after)));
  return parts;
}

export function paragraph(text) {
  const line = document.createElement("p");
  line.className = "muted";
  line.textContent = text;
  return line;
}

function changesTable(changes) {
  const table = document.createElement("table");
  table.className = "theta";
  const caption = table.createCaption();
  caption.className = "visually-hidden";
  caption.textContent = "What would change in theta";
  const head = table.createTHead().insertRow();
  for (const title of ["Theta", "Before", "After"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const change of changes) for (const one of differences(change)) addRow(body, ...one);
  return table;
}

// What changed in one theta, field by field: its name, and its value before and after.
function differences(change) {
  const where = [change.experiment, change.name === "_theta" ? "" : change.name, change.theta].filter(Boolean);
  if (change.after === null) return [[where.join(" ") || "theta", change.before, "deleted"]];
  return fieldsOf(change.before ?? {}, change.after)
    .map(([field, before, after]) => [[...where, field].join(" · "), before, after]);
}

// The fields that differ. A field that holds an object on either side, as the counts of an arm, is told by its own fields.
function fieldsOf(before, after) {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
    .flatMap((field) => {
      const [old, now] = [before[field], after[field]];
      if (!isObject(now) || !(old === undefined || isObject(old))) return [[field, old, now]];
      return fieldsOf(old ?? {}, now).map(([inner, ...values]) => [`${field} · ${inner}`, ...values]);
    });
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function addRow(body, name, before, after) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  row.insertCell().append(shown(before));
  const last = row.insertCell();
  last.append(after === "deleted" ? after : shown(after));
  last.className = "new";
}
