/* ---- tap: what a log says about tests ----

   Two dialects of TAP. Plain: `1..N`, `ok 1 - words`, diagnostics and YAML after the result, subtests indented.
   Cockpit's: a test's output, then `# 1 TEST PASSED [26s on host]`, then `ok 2 FILE CLASS.method [ND@1]`, with
   `# SKIP reason` or, when the test is run again, `# RETRY n (reason)`. */

const Verdict = Object.freeze({ PASSED: "passed", FAILED: "failed", SKIPPED: "skipped", RETRIED: "retried" });

const PLAN = /^(\d+)\.\.(\d+)(?:\s+#\s*(.*)|\s*)$/;
const RESULT = /^( *)(not )?ok(?=\s|$)(?:\s+(\d+)(?=\s|$))?\s*(- ?)?(.*)$/;
const TEST_TIME = /^# \d+ TEST (?:PASSED|FAILED) \[([\d.]+)s\b/;
const TOTAL_TIME = /^# (?:\d+ )?TESTS (?:PASSED|FAILED) \[([\d.]+)s\b/;
const TOTAL_MS = /^# duration_ms ([\d.]+)\s*$/;
const OUTPUT_BEFORE = /^\S+ \w+\.\w+/;      // Cockpit's names
const LONGEST_RESULT = 4000;
const MOST_TESTS = 100000;
const MOST_PARTS = 50;

const BEGINNINGS = ["ok", "not ok", "#", "---", "...", "TAP version ", "Bail out!"];

/* Whether a line may be one of the above. Of a million lines few are, and decoding each of the others would take
   seconds, so this looks at bytes: how a line begins, after its indentation. */
function mayMatter(content, start, end) {
  let at = start;
  while (at < end && content.byte(at) === 0x20) at += 1;
  const follows = words => {
    if (at + words.length > end) return false;
    for (let i = 0; i < words.length; i += 1) if (content.byte(at + i) !== words.charCodeAt(i)) return false;
    return true;
  };
  const byte = at < end ? content.byte(at) : 0;
  if (byte >= 0x30 && byte <= 0x39) { // 1..N
    while (at < end && content.byte(at) >= 0x30 && content.byte(at) <= 0x39) at += 1;
    return follows("..");
  }
  return BEGINNINGS.some(follows);
}

/* A result in line `line`; lines from `first` on, and later to `last`, belong to it. */
const newTest = (first, line) => ({
  number: 0, name: "", ok: true, verdict: null, reason: "",
  retry: null,        // number of the try, where another follows
  seconds: null,
  parts: 0,           // subtests
  failedParts: [],    // { line, name }
  first, line, last: line,
});

class Tap {
  tests = [];
  planned = 0;
  passed = 0;
  failed = 0;
  skipped = 0;
  retried = 0;
  seconds = null;     // of all, if the log says
  bailed = null;      // { line, reason }
  part = 0;           // first line of what belongs to the next result
  #next = 0;
  #known = false;     // by a plan or a version, this is TAP
  #time = null;       // { line, seconds }, of the result that follows
  #tail = null;       // the test that diagnostics may follow
  #yaml = false;
  #sub = { done: 0, failed: [] };

  /* Whether the log has tests. A few words that look like a result do not make it TAP. */
  get found() {
    return this.tests.length > 0 && (this.#known || this.tests.slice(0, 2).map(it => it.number).join() === "1,2")
      || this.planned > 0 || this.bailed !== null;
  }

  /* Reads the lines that are new; at the end also one without a newline. */
  read(content, ended = false) {
    const bound = ended ? content.lines : content.complete;
    for (; this.#next < bound; this.#next += 1) {
      const start = content.start(this.#next), end = content.end(this.#next);
      if (end === start) continue;
      if (end - start <= LONGEST_RESULT && (this.#yaml || mayMatter(content, start, end))) {
        this.#line(this.#next, withoutReturns(plain(decoder.decode(content.bytes(start, end)))));
      } else {
        this.#tail = null;
        this.#yaml = false;
      }
    }
  }

  #line(line, text) {
    if (this.#yaml) {
      if (text.startsWith(" ")) return this.#diagnostic(line, text);
      this.#yaml = false;
    }
    const result = RESULT.exec(text);
    if (result) return this.#result(line, result);
    if (/^ +---\s*$/.test(text)) {
      this.#yaml = true;
      return this.#extend(line);
    }
    if (text.startsWith("#")) return this.#comment(line, text);
    if (text.startsWith(" ")) return;
    this.#tail = null;
    const plan = PLAN.exec(text);
    if (plan) return this.#plan(line, Number(plan[2]), plan[3]);
    if (/^TAP version \d+\s*$/.test(text)) return this.#begin(line);
    const bail = /^Bail out!\s*(.*)$/.exec(text);
    if (bail && this.#known) this.bailed ??= { line, reason: bail[1] };
  }

  #begin(line) {
    this.#known = true;
    this.part = line + 1;
  }

  #plan(line, count, words) {
    if (count > 1e9) return;
    // Results before the plan are either all of them, or something else that looked like it.
    const all = this.tests.length === count && this.tests.every((it, index) => it.number === index + 1);
    if (!this.#known && !all) this.#forget();
    if (!this.#known || this.tests.length === 0) this.#begin(line);
    this.planned += count;
    const skip = count === 0 && /^skip\S*\s*(.*)$/i.exec(words ?? "");
    if (skip) this.#add({ ...newTest(line, line), name: "all tests", verdict: Verdict.SKIPPED, reason: skip[1] });
  }

  #forget() {
    this.tests = [];
    this.passed = this.failed = this.skipped = this.retried = 0;
  }

  #result(line, [, indent, not, number, dash, words]) {
    const ok = !not;
    if (indent) {
      this.#sub.done += 1;
      if (!ok && !/#\s*(?:todo|skip)/i.test(words)) this.#sub.failed.push({ line, name: words });
      return;
    }
    if (!this.#known && number === undefined) return;
    const test = newTest(Math.min(this.part, line), line);
    test.number = Number(number ?? this.tests.length + 1);
    test.ok = ok;
    test.parts = this.#sub.done;
    test.failedParts = this.#sub.failed.slice(0, MOST_PARTS);
    if (this.#time && line - this.#time.line <= 2) test.seconds = this.#time.seconds;
    directives(test, words);
    this.#add(test);
    this.part = line + 1;
    this.#time = null;
    this.#sub = { done: 0, failed: [] };
    this.#tail = !dash && OUTPUT_BEFORE.test(test.name) ? null : test;
  }

  #add(test) {
    this[test.verdict] += 1;
    if (this.tests.length < MOST_TESTS) this.tests.push(test);
  }

  #comment(line, text) {
    const time = TEST_TIME.exec(text);
    if (time) this.#time = { line, seconds: Number(time[1]) };
    const total = TOTAL_TIME.exec(text), ms = TOTAL_MS.exec(text);
    if (total) this.seconds = (this.seconds ?? 0) + Number(total[1]);
    if (ms) this.seconds = (this.seconds ?? 0) + Number(ms[1]) / 1000;
    if (total || ms || text.startsWith("# Subtest")) this.#tail = null;
    this.#extend(line);
  }

  #diagnostic(line, text) {
    this.#extend(line);
    if (/^ +\.\.\.\s*$/.test(text)) this.#yaml = false;
    const ms = /^ {2}duration_ms: ([\d.]+)/.exec(text);
    if (ms && this.#tail) this.#tail.seconds = Number(ms[1]) / 1000;
  }

  /* The line belongs to the result before it. */
  #extend(line) {
    if (!this.#tail) return;
    this.#tail.last = line;
    this.part = line + 1;
  }

  /* The lines of failures, in order: the first failed part of a test, else its result. */
  failures() {
    const lines = this.tests.filter(it => it.verdict === Verdict.FAILED).map(it => it.failedParts[0]?.line ?? it.line);
    if (this.bailed) lines.push(this.bailed.line);
    return lines.sort((a, b) => a - b);
  }

  /* How many of the planned tests have no result. */
  get missing() {
    return Math.max(0, this.planned - this.passed - this.failed - this.skipped);
  }
}

/* Takes `words # DIRECTIVE …` apart. A number sign in the words or in a reason is none. */
function directives(test, words) {
  const [name, ...rest] = words.split(/(?:^|\s)#\s*/);
  test.name = name.trim();
  test.verdict = test.ok ? Verdict.PASSED : Verdict.FAILED;
  let reason = false;
  for (const part of rest) {
    const skip = /^(skip|todo)\S*\s*(.*)$/i.exec(part);
    const retry = /^RETRY (\d+)(?: \((.*)\))?/.exec(part);
    const time = /^(?:time=|duration:?\s*)([\d.]+)\s*(ms|s)?/.exec(part);
    if (skip) {
      test.verdict = Verdict.SKIPPED;
      test.reason = (skip[1].toLowerCase() === "todo" ? "to do: " : "") + skip[2];
    } else if (retry) {
      test.verdict = Verdict.RETRIED;
      test.retry = Number(retry[1]);
      test.reason = retry[2] ?? "";
    } else if (time) {
      test.seconds = Number(time[1]) / (time[2] === "ms" ? 1000 : 1);
    } else if (reason) {
      test.reason += ` #${part}`;
    } else {
      test.name += ` #${part}`;
    }
    reason ||= Boolean(skip || retry);
  }
  if (!test.name) test.name = `test ${test.number}`;
}
