// The difference of two texts, line by line: as text, for whoever cannot or does not want to see two editors.

const MOST_STEPS = 4_000_000;
const AROUND = 3;

// Pairs of [sign, line]: " " for a line that both have, "-" for one that is gone, "+" for one that is new.
export function lineDifference(before, after) {
  const old = before === "" ? [] : before.split("\n");
  const now = after === "" ? [] : after.split("\n");
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  const same = (line) => [" ", line];
  return [
    ...old.slice(0, start).map(same),
    ...changed(old.slice(start, old.length - end), now.slice(start, now.length - end)),
    ...old.slice(old.length - end).map(same),
  ];
}

// The longest lines that both have in the same order, by a table; too large a table is not worth its memory.
function changed(old, now) {
  const gone = (line) => ["-", line];
  const fresh = (line) => ["+", line];
  if (old.length * now.length > MOST_STEPS) return [...old.map(gone), ...now.map(fresh)];
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] = old[i] === now[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const lines = [];
  let i = 0;
  let j = 0;
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) lines.push([" ", old[i++]]), j++;
    else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) lines.push(gone(old[i++]));
    else lines.push(fresh(now[j++]));
  }
  return [...lines, ...old.slice(i).map(gone), ...now.slice(j).map(fresh)];
}

// The difference as a <pre>, with a few lines around each change; each line says by its sign what became of it.
export function differenceText(before, after) {
  const lines = lineDifference(before, after);
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(([sign]) => sign !== " "));
  const pre = document.createElement("pre");
  pre.className = "difference";
  pre.tabIndex = 0;
  pre.setAttribute("role", "group");
  let skipped = false;
  lines.forEach(([sign, text], at) => {
    if (near[at]) pre.append(row(sign, text));
    else if (!skipped) pre.append(row("…", ""));
    skipped = !near[at];
  });
  return pre;
}

const WORDS = { "+": ["ins", "added: "], "-": ["del", "removed: "] };

function row(sign, text) {
  const [tag, word] = WORDS[sign] ?? ["span", ""];
  const line = document.createElement(tag);
  line.className = "line";
  if (word) {
    const spoken = document.createElement("span");
    spoken.className = "visually-hidden";
    spoken.textContent = word;
    line.append(spoken);
  }
  const mark = document.createElement("span");
  mark.className = "sign";
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = sign;
  line.append(mark, `${text}\n`);
  return line;
}
