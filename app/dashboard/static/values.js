// JSON values as people read them: rounded numbers, aligned matrices, and long arrays folded behind their size.
import { short } from "./numbers.js";

const MOST_INLINE = 8;
const MOST_TEXT = 160;

// An element that shows the value.
export function shown(value) {
  if (isMatrix(value)) return folded(`${value.length} × ${value[0].length} matrix`, matrix(value), value.length <= 3);
  if (isNumbers(value)) return value.length <= MOST_INLINE ? text(numbers(value)) : folded(summary(value), text(numbers(value)));
  if (Array.isArray(value) && value.length) return folded(count(value.length, "item"), list(value.entries()), value.length <= 3);
  if (isObject(value)) return list(Object.entries(value));
  return text(scalar(value));
}

export function folded(title, content, open = false) {
  const details = document.createElement("details");
  details.open = open;
  const head = document.createElement("summary");
  head.textContent = title;
  details.append(head, content);
  return details;
}

function isObject(value) {
  return value !== null && typeof value === "object" && Object.keys(value).length > 0;
}

function isNumbers(value) {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "number");
}

function isMatrix(value) {
  return Array.isArray(value) && isNumbers(value[0]) && value.every((row) => isNumbers(row) && row.length === value[0].length);
}

function scalar(value) {
  if (typeof value === "number") return short(value);
  const json = JSON.stringify(value) ?? "–";
  return json.length > MOST_TEXT ? `${json.slice(0, MOST_TEXT)}…` : json;
}

function numbers(values) {
  return `[${values.map(short).join(", ")}]`;
}

function summary(values) {
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  return `${values.length} numbers from ${short(least)} to ${short(most)}`;
}

function count(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

function text(content) {
  const span = document.createElement("span");
  span.textContent = content;
  return span;
}

// Columns stand one below the other.
function matrix(rows) {
  const cells = rows.map((row) => row.map(short));
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const pre = document.createElement("pre");
  pre.className = "matrix";
  pre.tabIndex = 0;
  pre.textContent = cells.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join("  ")).join("\n");
  return pre;
}

function list(entries) {
  const dl = document.createElement("dl");
  dl.className = "json-fields";
  for (const [name, value] of entries) {
    const dt = document.createElement("dt");
    dt.textContent = name;
    const dd = document.createElement("dd");
    dd.append(shown(value));
    dl.append(dt, dd);
  }
  return dl;
}
