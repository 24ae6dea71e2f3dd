// The code editor: Monaco over a <textarea>. The <textarea> keeps the text and is what everything else reads and
// listens to; where Monaco cannot be loaded, or the reader prefers plain fields, it is the editor as well.
import { wireCompletions } from "./completions.js";

export const onMac = navigator.platform.startsWith("Mac");

const LEAST = 84;
const MOST = 460;
let loading = null;

// Monaco itself; `base` is the URL of its folder.
export function loadMonaco(base) {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = `${base}/editor/editor.main.css`;
    const script = document.createElement("script");
    script.src = `${base}/loader.js`;
    script.onerror = () => reject(new Error("the editor could not be loaded"));
    script.onload = () => {
      window.require.config({ paths: { vs: base } });
      window.require(["vs/editor/editor.main"], () => {
        wireThemes(window.monaco);
        wireCompletions(window.monaco);
        resolve(window.monaco);
      }, reject);
    };
    document.head.append(style, script);
  });
  return loading;
}

export function prefersPlain() {
  try {
    return localStorage.getItem("plain-editor") === "yes";
  } catch {
    return false;
  }
}

export function preferPlain(plain) {
  try {
    localStorage.setItem("plain-editor", plain ? "yes" : "no");
  } catch {
    // Then the choice cannot be kept.
  }
}

// Colours that can be read on these grounds, also where a line was added or removed.
const THEMES = {
  light: {
    base: "vs",
    tokens: { comment: "0a6b0a", number: "066b46" },
    ground: "#ffffff",
    added: ["#e8f5f1", "#d3ece4"],
    removed: ["#fdeeec", "#f9dcd8"],
  },
  dark: {
    base: "vs-dark",
    tokens: { comment: "86b573" },
    ground: "#14191c",
    added: ["#12241f", "#15302a"],
    removed: ["#2a1517", "#371a1c"],
  },
};

function wireThemes(monaco) {
  for (const [name, { base, tokens, ground, added, removed }] of Object.entries(THEMES)) {
    monaco.editor.defineTheme(`thetaloop-${name}`, {
      base,
      inherit: true,
      rules: Object.entries(tokens).map(([token, foreground]) => ({ token, foreground })),
      colors: {
        "editor.background": ground,
        "editorGutter.background": ground,
        "diffEditor.insertedLineBackground": added[0],
        "diffEditor.insertedTextBackground": added[1],
        "diffEditor.removedLineBackground": removed[0],
        "diffEditor.removedTextBackground": removed[1],
      },
    });
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const dark = (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    monaco.editor.setTheme(dark ? "thetaloop-dark" : "thetaloop-light");
  };
  system.addEventListener("change", show);
  document.addEventListener("themechange", show);
  show();
}

const LOOKS = {
  language: "python",
  automaticLayout: true,
  detectIndentation: false,
  fixedOverflowWidgets: true,
  fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  fontSize: 14,
  lineHeight: 21,
  lineNumbersMinChars: 3,
  minimap: { enabled: false },
  occurrencesHighlight: "off",
  overviewRulerLanes: 0,
  scrollBeyondLastLine: false,
  scrollbar: { alwaysConsumeMouseWheel: false },
  tabSize: 4,
  wordWrap: "on",
};

// One script: its text is the field's, and whoever changes it here or there is heard by the field's "input".
export class Pane {
  constructor(field) {
    this.field = field;
    this.name = field.name;
    this.editor = null;
    this.faults = [];
  }

  get text() {
    return this.field.value;
  }

  // Put Monaco in the field's place.
  enhance(monaco) {
    const place = document.createElement("div");
    place.className = "monaco-place";
    this.field.after(place);
    this.monaco = monaco;
    this.editor = monaco.editor.create(place, {
      ...LOOKS,
      value: this.text,
      ariaLabel: `${this.name}, Python. Press Control ${onMac ? "Shift " : ""}M to let Tab leave the editor.`,
      quickSuggestions: false,
      wordBasedSuggestions: "off",
      padding: { top: 10, bottom: 10 },
      renderLineHighlight: "none",
    });
    const fit = () => {
      place.style.height = `${Math.min(MOST, Math.max(LEAST, this.editor.getContentHeight()))}px`;
    };
    this.editor.onDidContentSizeChange(fit);
    fit();
    this.field.hidden = true;
    this.editor.onDidChangeModelContent(() => {
      this.field.value = this.editor.getValue();
      this.field.dispatchEvent(new Event("input", { bubbles: true }));
    });
    for (const label of this.field.labels) label.addEventListener("click", () => this.editor.focus());
    this.mark(this.faults);
  }

  // Another text in place of this one; in Monaco it can be undone.
  replace(text) {
    if (this.editor) {
      this.editor.pushUndoStop();
      this.editor.executeEdits("fill", [{ range: this.editor.getModel().getFullModelRange(), text }]);
      this.editor.pushUndoStop();
      return;
    }
    this.field.value = text;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // Show where something is wrong.
  mark(faults) {
    this.faults = faults;
    const wrong = faults.some((fault) => fault.severity !== "warning");
    if (wrong) this.field.setAttribute("aria-invalid", "true");
    else this.field.removeAttribute("aria-invalid");
    if (!this.editor) return;
    const model = this.editor.getModel();
    const { Error: error, Warning: warning } = this.monaco.MarkerSeverity;
    this.monaco.editor.setModelMarkers(model, "check", faults.map((fault) => {
      const at = model.validatePosition({ lineNumber: fault.line, column: fault.column ?? 1 });
      const word = fault.column ? model.getWordAtPosition(at) : null;
      const end = word ? word.endColumn : fault.column ? at.column + 1 : model.getLineMaxColumn(at.lineNumber);
      const start = fault.column ? at.column : model.getLineFirstNonWhitespaceColumn(at.lineNumber) || 1;
      return {
        message: fault.message,
        severity: fault.severity === "warning" ? warning : error,
        startLineNumber: at.lineNumber,
        startColumn: start,
        endLineNumber: at.lineNumber,
        endColumn: end,
      };
    }));
  }

  // Put the cursor there.
  go(line, column = 1) {
    if (this.editor) {
      this.editor.setPosition({ lineNumber: line, column });
      this.editor.revealLineInCenterIfOutsideViewport(line);
      this.editor.focus();
      return;
    }
    const start = this.text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const at = Math.min(start + column - 1, this.text.length);
    this.field.focus();
    this.field.setSelectionRange(at, at);
  }
}

// Two texts side by side, or one above the other where that is too narrow.
export function showDifference(monaco, place, before, after, label) {
  const editor = monaco.editor.createDiffEditor(place, {
    ...LOOKS,
    diffWordWrap: "on",
    hideUnchangedRegions: { enabled: true },
    readOnly: true,
    renderSideBySide: true,
    useInlineViewWhenSpaceIsLimited: true,
    renderOverviewRuler: false,
  });
  editor.getOriginalEditor().updateOptions({ ariaLabel: `${label}, before` });
  editor.getModifiedEditor().updateOptions({ ariaLabel: `${label}, after` });
  editor.setModel({
    original: monaco.editor.createModel(before, "python"),
    modified: monaco.editor.createModel(after, "python"),
  });
  const fit = () => {
    const height = Math.max(editor.getOriginalEditor().getContentHeight(), editor.getModifiedEditor().getContentHeight());
    place.style.height = `${Math.min(MOST, Math.max(60, height + 4))}px`;
  };
  editor.onDidUpdateDiff(fit);
  editor.getModifiedEditor().onDidContentSizeChange(fit);
  fit();
  return editor;
}
