/* ---- find: search, and failures ---- */

/* Goes to a line because of a search or a failure. */
function jump(line) {
  tabs.show("log");
  follow.on = false;
  Lines.remark({ hit: line });
  view.toLine(line);
  follow.show();
}

/* The index after, or for -1 before, `at` of `count`, round the ends; from -1, which is nowhere, the first or last. */
function nextIndex(at, step, count) {
  if (count === 0) return -1;
  if (at < 0) return step > 0 ? 0 : count - 1;
  return (at + step + count) % count;
}

/* Walks through the lines that a scan has found. */
class Walk {
  scan = null;
  at = -1;

  start(expression, changed) {
    this.scan?.stop();
    this.at = -1;
    this.scan = expression && new Scan(log.content, expression, changed);
    this.more();
  }

  more() {
    this.scan?.go(ended());
  }

  get count() {
    return this.scan?.lines.length ?? 0;
  }

  /* The index of the next line, `step` 1 or -1, round the ends. */
  step(step) {
    this.at = nextIndex(this.at, step, this.count);
    return this.at;
  }
}

const search = Object.assign(new Walk(), {
  timer: 0,
  from: 0,       // the line that was in view when the search began
  waiting: false, // for its first line

  type() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), 150);
  },

  again() {
    const text = $("query").value, flags = $("case").checked ? "g" : "gi";
    Lines.remark({ words: text ? new RegExp(literal(text), flags) : null, hit: -1 });
    this.from = view.firstSeen;
    this.waiting = text !== "";
    this.start(text ? new RegExp(literal(text), flags) : null, () => this.found());
    this.show();
  },

  found() {
    if (this.waiting && this.count > 0) {
      const next = this.scan.lines.firstFrom(this.from);
      if (next < this.count || this.scan.done) {
        this.waiting = false;
        this.at = next < this.count ? next : 0;
        jump(this.scan.lines.at(this.at));
      }
    }
    this.show();
  },

  go(step) {
    if (!this.scan) return $("query").focus();
    this.waiting = false;
    if (this.step(step) >= 0) jump(this.scan.lines.at(this.at));
    this.show();
  },

  words() {
    const more = this.scan.done ? "" : "…";
    if (this.count === 0) return more || "nothing";
    const all = `${thousands(this.count)}${more} ${this.count === 1 ? "line" : "lines"}`;
    return this.at < 0 ? all : `${thousands(this.at + 1)} of ${all}`;
  },

  show() {
    setText($("hits"), this.scan ? this.words() : "");
  },
});

$("query").addEventListener("input", () => search.type());
$("case").addEventListener("change", () => search.again());
$("query").addEventListener("keydown", event => {
  if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); search.go(-1); }
});
$("search").addEventListener("submit", event => { event.preventDefault(); search.go(1); });
$("previous").addEventListener("click", () => search.go(-1));

/* -- failures: of tests, or lines that look like one where there are no tests -- */

const failures = Object.assign(new Walk(), {
  wanted: 0,     // where to go when one is found

  clear() {
    this.wanted = 0;
    this.start(null);
  },

  go(step, restart = false) {
    const lines = log.tap.found ? log.tap.failures() : [];
    if (lines.length > 0) return this.goTo(lines, step, restart);
    if (!this.scan) this.start(new RegExp(FAILURE, "gm"), () => this.found());
    if (restart) this.at = -1;
    if (this.count > 0 || this.scan.done) this.show(step);
    else this.wanted = step;
  },

  show(step) {
    if (this.count === 0) return announce("Nothing in the log looks like a failure.");
    jump(this.scan.lines.at(this.step(step)));
    announce(`Failure ${this.at + 1} of ${thousands(this.count)}`);
  },

  found() {
    if (!this.wanted || (this.count === 0 && !this.scan.done)) return;
    this.wanted = 0;
    this.show(1);
  },

  goTo(lines, step, restart) {
    this.at = nextIndex(restart ? -1 : this.at, step, lines.length);
    jump(lines[this.at]);
    announce(`Failure ${this.at + 1} of ${lines.length}`);
  },
});

$("first-failure").addEventListener("click", () => failures.go(1, true));
$("next-failure").addEventListener("click", () => failures.go(1));

