// Unsaved changes, kept in this browser until they are saved or discarded: a session may end while somebody writes.

const PREFIX = "draft:";

export class Draft {
  constructor(user, exp) {
    this.key = `${PREFIX}${user}:${exp}`;
  }

  // `fields` by their names, as they are on the page, and the revision that they were made on. Whether they were kept.
  keep(fields, revision) {
    try {
      localStorage.setItem(this.key, JSON.stringify({ fields, revision, date: Date.now() }));
      return true;
    } catch {
      return false;
    }
  }

  // What was kept, or null.
  find() {
    try {
      return JSON.parse(localStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  drop() {
    try {
      localStorage.removeItem(this.key);
    } catch {
      // Then there is none.
    }
  }
}

// Signing out leaves nothing behind: the next person at this computer may be another one.
export function dropAllDrafts() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // Then there are none.
  }
}
