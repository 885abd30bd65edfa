/* ---- scan: finds lines, for the search and for failures ---- */

const BLOCK = 1 << 18;

/* The lines that match an expression, in order, found in slices and while the log grows. */
class Scan {
  lines = new Numbers();
  done = false;        // all that there is has been looked at
  #next = 0;
  #running = false;
  #stopped = false;
  #content;
  #expression;
  #changed;

  /* `expression` is global; `changed` is called after each slice. */
  constructor(content, expression, changed) {
    this.#content = content;
    this.#expression = expression;
    this.#changed = changed;
  }

  stop() {
    this.#stopped = true;
  }

  /* Looks at what is new; at a line without its end only when there will be no more. */
  async go(ended) {
    this.#ended = ended;
    if (this.#running) return;
    this.#running = true;
    const slice = new Slice();
    while (!this.#stopped && this.#next < this.#bound()) {
      this.done = false;
      this.#block();
      if (this.#next < this.#bound()) await slice.rest();
      this.#changed();
    }
    this.done = true;
    this.#running = false;
    if (!this.#stopped) this.#changed();
  }

  #ended = false;

  #bound() {
    return this.#ended ? this.#content.lines : this.#content.complete;
  }

  /* Whole lines of about a block; of a longer line its first block. */
  #block() {
    const first = this.#next, from = this.#content.start(first);
    const beyond = this.#content.lineAt(Math.min(from + BLOCK, this.#content.length));
    const last = Math.min(this.#bound() - 1, Math.max(first, beyond - 1));
    const text = blockText(this.#content.bytes(from, Math.min(this.#content.end(last), from + 4 * BLOCK)));
    let line = first, at = 0;
    this.#expression.lastIndex = 0;
    for (let match; (match = this.#expression.exec(text));) {
      for (let end; (end = text.indexOf("\n", at)) >= 0 && end < match.index;) { line += 1; at = end + 1; }
      this.lines.push(line);
      const end = text.indexOf("\n", Math.max(at, match.index));
      if (end < 0) break;
      this.#expression.lastIndex = end + 1;
    }
    this.#next = last + 1;
  }
}

/* What people call a failure when no test says so. */
const FAILURE = new RegExp([
  /^\*\*\* (?:Failure|Job cancelled)/,                        // our own last line
  /^not ok\b(?!.*# (?:RETRY|TODO|SKIP))/,
  /^(?:[^\s:]+: )*(?:fatal|FATAL|error|ERROR|Error)(?:\[\w+\])?:/,
  /^[\w./+-]+:\d+(?::\d+)?: (?:fatal )?error:/,               // compilers
  /^make(?:\[\d+\])?: \*\*\*/,
  /^(?:--- )?FAIL(?:ED|URE)?\b[: ]/, /^test .* \.\.\. FAILED$/, /^E {3}\S/,
  /^Traceback \(most recent call last\)/, /\bAssertionError\b/, /\bpanicked at\b/, /\b[Ss]egmentation fault\b/,
].map(it => it.source).join("|"), "gm");

const literal = text => text.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&");
