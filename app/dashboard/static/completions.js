// What Ctrl+Space and a dot propose in a script: `self`, the library's modules, classes and methods.

// What `self` can do: as it is inserted, and what it is for.
const SELF = {
  context: "What is known of the visitor, a dict.",
  action: "What is shown, a dict: get_action fills it.",
  reward: "What came of it, a dict.",
  "get_theta(${1:key}, ${2:value})": "What was learned under these names, a dict; empty at first.",
  "set_theta(${1:theta}, ${2:key}, ${3:value})": "Keep a dict, or an object of the library, under these names.",
  "delete_theta(${1:key}, ${2:value})": "Forget it; how many there were.",
  "log_data({${1}})": "A row for the experiment's log.",
  "debug(${1})": "A value to see beside a trial.",
  exp_id: "The id of this experiment.",
};
const NAMES = {
  self: "Context, action, reward and theta of this call.",
  np: "NumPy.",
  math: "Python's module math.",
  random: "Python's module random.",
  "Experiment(${1:id})": "Another experiment of yours, to decide or learn inside this one.",
};

let library = null;

// Modules by name, each with its members, their signatures and documentation; nothing if it cannot be loaded.
function loadLibrary() {
  library ??= fetch(new URL("library.json", import.meta.url))
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  return library;
}

export function wireCompletions(monaco) {
  loadLibrary();
  monaco.languages.registerCompletionItemProvider("python", {
    triggerCharacters: ["."],
    async provideCompletionItems(model, position) {
      const word = model.getWordUntilPosition(position);
      const before = model.getLineContent(position.lineNumber).slice(0, word.startColumn - 1);
      const range = new monaco.Range(position.lineNumber, word.startColumn, position.lineNumber, word.endColumn);
      const offers = offersAfter(before, model.getValue(), await loadLibrary());
      return { suggestions: offers.map((offer) => suggestion(monaco, offer, range)) };
    },
  });
}

// What may follow: [text, documentation, kind, detail] each. `before` is the line up to the word that is typed.
function offersAfter(before, text, modules) {
  const owner = before.match(/\b([A-Za-z_]\w*)\.$/)?.[1];
  if (!owner) return /[.\w]$/.test(before) ? [] : [...plain(NAMES), ...moduleOffers(modules)];
  if (owner === "self") return plain(SELF);
  if (Object.hasOwn(modules, owner)) return memberOffers(modules[owner].members);
  return memberOffers(classOf(owner, text, modules)?.methods ?? {});
}

// The class of the library that a name was last assigned from, as in `policy = greedy.EpsilonGreedy(...)`.
function classOf(name, text, modules) {
  const [, module, member] = [...text.matchAll(new RegExp(`\\b${name}\\s*=\\s*(\\w+)\\.(\\w+)\\(`, "g"))].at(-1) ?? [];
  return Object.hasOwn(modules, module) ? modules[module].members[member] : undefined;
}

function plain(names) {
  return Object.entries(names).map(([text, doc]) => [text, doc, text.includes("(") ? "Method" : "Property", ""]);
}

function moduleOffers(modules) {
  return Object.entries(modules).map(([name, { doc }]) => [name, doc, "Module", ""]);
}

function memberOffers(members) {
  return Object.entries(members).map(([name, { doc, kind, signature, required }]) => {
    const slots = required.map((one, place) => `\${${place + 1}:${one}}`).join(", ");
    return [`${name}(${slots})`, doc, kind, signature];
  });
}

function suggestion(monaco, [text, documentation, kind, detail], range) {
  return {
    label: text.split("(")[0],
    kind: monaco.languages.CompletionItemKind[kind],
    detail,
    insertText: text,
    insertTextRules: monaco.languages.CompletionItemInsertTextRule.InsertAsSnippet,
    documentation,
    range,
  };
}
