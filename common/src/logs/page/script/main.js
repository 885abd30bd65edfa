/* ---- main: what the reader sees and does ---- */

const $ = id => document.getElementById(id);

/* Everything that the page knows of the log. */
const log = { content: new Content(), tap: new Tap(), state: State.LOADING, problem: "", attempt: 0 };
const ended = () => log.state === State.ENDED || log.state === State.LONG;

const view = new Lines(log.content, "Log", () => [0, log.content.lines]);
let list = new TestList(log.content, log.tap, ended);
$("panel-log").append(view.element);

/* -- taking in -- */

const sink = {
  get length() {
    return log.content.length;
  },

  async take(bytes) {
    const slice = new Slice(), attempt = log.attempt;
    for (let at = 0; at < bytes.length && attempt === log.attempt; at += PIECE) {
      log.content.append(bytes.subarray(at, at + PIECE));
      log.tap.read(log.content);
      refresh();
      await slice.rest();
    }
  },

  clear() {
    log.content.clear();
    log.tap = new Tap();
    log.attempt += 1;
    list = new TestList(log.content, log.tap, ended);
    search.again();
    failures.clear();
    view.to(0);
    announce("The log begins again.");
    refresh();
  },

  tell(state, problem = "") {
    if (state === log.state && problem === log.problem) return;
    const before = log.state;
    log.state = state;
    log.problem = problem;
    if (state === State.ENDED || state === State.LONG) atEnd();
    if (state !== before) announce([state, verdict().text, countsText()].filter(Boolean).join(". "));
    refresh();
  },
};

/* -- saying where we are -- */

let refreshing = false;

/* Shows what has changed: the lines at the next frame, the rest a few times a second. */
function refresh() {
  follow.stick();
  view.update();
  if (refreshing) return;
  refreshing = true;
  setTimeout(() => { refreshing = false; showAll(); }, 200);
}

function showAll() {
  showHeader();
  showCounts();
  if (log.tap.found && !$("panel-tests").hidden) list.update();
  $("tab-tests").hidden = !log.tap.found;
  search.more();
  failures.more();
  links.arrive();
  follow.show();
}

function showHeader() {
  const { content, state, problem } = log;
  const first = content.lines > 0 ? visible(plain(lineText(content, 0).text)).trim().slice(0, 200) : "";
  setText($("title"), first || "Log");
  document.title = first || "Log";
  const { text, look } = verdict();
  setText($("state"), text ? `${state}: ${text}` : state);
  $("state").className = `badge ${look}${state === State.RUNNING ? " live" : ""}`;
  setText($("detail"), `${sizeText(content.length)}, ${thousands(content.lines)} ${content.lines === 1 ? "line" : "lines"}`);
  const notice = {
    [State.TROUBLE]: `${problem} Trying again.`,
    [State.ABSENT]: "There is no log here. If the job is about to begin, it will appear.",
    [State.LONG]: `Only the first ${sizeText(content.length)} are shown; the raw log has the rest.`,
  }[state] ?? "";
  setText($("problem"), notice);
  $("problem").hidden = !notice;
}

/* How the job ended, in the words of the log's last line. */
function verdict() {
  if (log.state === State.TROUBLE || log.state === State.ABSENT) return { text: "", look: "warn" };
  if (!ended()) return { text: "", look: "" };
  for (let line = log.content.lines - 1; line >= Math.max(0, log.content.lines - 5); line -= 1) {
    const text = plain(lineText(log.content, line).text).trim();
    if (text.startsWith("*** ")) return { text: visible(text.slice(4, 200)), look: "bad" };
    if (text.startsWith("Job ran successfully")) return { text: "success", look: "good" };
  }
  return { text: "", look: "" };
}

function countsText() {
  const { tap } = log;
  if (!tap.found) return "";
  return counts().map(([number, words]) => `${thousands(number)} ${words}`).join(", ");
}

/* [number, words, look] of the summary. */
function counts() {
  const { tap } = log;
  const all = Math.max(tap.planned, tap.passed + tap.failed + tap.skipped);
  return [
    [all, all === 1 ? "test" : "tests", ""], [tap.passed, "passed", "good"], [tap.failed, "failed", tap.failed ? "bad" : ""],
    [tap.skipped, "skipped", tap.skipped ? "warn" : ""], [tap.retried, "retried", tap.retried ? "warn" : ""],
    ...tap.missing ? [[tap.missing, ended() ? "without a result" : "to go", ended() ? "bad" : ""]] : [],
  ];
}

function showCounts() {
  const { tap } = log;
  $("summary").hidden = !tap.found;
  if (!tap.found) return;
  const items = counts().map(([number, words, look]) => element("li", { class: look }, element("strong", {}, thousands(number)), ` ${words}`));
  if (tap.seconds !== null) items.push(element("li", {}, `took ${timeText(tap.seconds)}`));
  if (tap.bailed) items.push(element("li", { class: "bad" }, visible(`bailed out: ${tap.bailed.reason}`)));
  const text = items.map(it => it.textContent).join();
  if ($("counts").dataset.text !== text) {
    $("counts").dataset.text = text;
    $("counts").replaceChildren(...items);
  }
  $("progress").hidden = ended() || tap.planned === 0;
  $("progress").max = tap.planned || 1;
  $("progress").value = tap.planned - tap.missing;
}

function setText(it, text) {
  if (it.textContent !== text) it.textContent = text;
}

/* Tells people who hear the page: states and answers, never lines of the log. */
function announce(text) {
  $("announce").textContent = text;
}

/* The log is complete. Of a failed run, people want the tests that failed. */
function atEnd() {
  if (!log.tap.found) return;
  $("tab-tests").hidden = false;
  if (touched || links.any || log.tap.failed === 0) return;
  tabs.show("tests");
  list.openFirstFailure();
}

let touched = false; // from the first key or click on, the page shows what it is told to
for (const type of ["keydown", "pointerdown", "wheel"]) addEventListener(type, () => { touched = true; }, { capture: true, passive: true });

/* -- following -- */

const follow = {
  on: true,

  stick() {
    if (this.on && !ended()) view.toEnd();
  },

  set(on) {
    this.on = on;
    if (on) view.toEnd();
    this.show();
  },

  show() {
    $("follow").hidden = ended();
    $("follow").setAttribute("aria-pressed", String(this.on));
  },
};

$("follow").addEventListener("click", () => { tabs.show("log"); follow.set(!follow.on); });
/* Who scrolls up wants to read; who comes back to the end wants to follow. */
view.onScroll = () => { follow.on = view.atEnd; follow.show(); };

/* -- the two views -- */

const tabs = {
  get now() {
    return $("panel-tests").hidden ? "log" : "tests";
  },

  show(name) {
    for (const it of ["log", "tests"]) {
      const selected = it === name;
      $(`panel-${it}`).hidden = !selected;
      $(`tab-${it}`).setAttribute("aria-selected", String(selected));
      $(`tab-${it}`).tabIndex = selected ? 0 : -1;
    }
    if (name === "tests") list.update();
    view.update();
  },

  other() {
    if ($("tab-tests").hidden) return;
    this.show(this.now === "log" ? "tests" : "log");
    $(`tab-${this.now}`).focus();
  },
};

for (const name of ["log", "tests"]) {
  $(`tab-${name}`).addEventListener("click", () => tabs.show(name));
  $(`tab-${name}`).addEventListener("keydown", event => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    event.stopPropagation();
    tabs.other();
  });
}
$("filter").addEventListener("input", () => list.only($("filter").value));

/* Goes to a line because of a search or a failure. */
function jump(line) {
  tabs.show("log");
  follow.on = false;
  Lines.remark({ hit: line });
  view.toLine(line);
  follow.show();
}

/* -- links to lines: #L12 and #L12-L20; to tests, as older pages have them: #117 and #117-1 -- */

const links = {
  wanted: null,   // what has not arrived yet

  get any() {
    return location.hash.length > 1;
  },

  read() {
    const lines = /^#L(\d{1,10})(?:-L?(\d{1,10}))?$/.exec(location.hash);
    const test = /^#(\d{1,9}(?:-\d{1,9})?)$/.exec(location.hash);
    this.wanted = test ? { test: test[1] } : null;
    let first = -1, last = -1;
    if (lines && Number(lines[1]) > 0) {
      [first, last] = [Number(lines[1]) - 1, Number(lines[2] ?? lines[1]) - 1].sort((a, b) => a - b);
      first = Math.max(first, 0);
      this.wanted = { line: first };
      follow.on = false;
    }
    Lines.remark({ first, last });
    this.arrive();
  },

  /* Goes there when it is there. */
  arrive() {
    if (!this.wanted) return;
    const { line, test } = this.wanted;
    if (line !== undefined && line < log.content.lines) {
      this.wanted = null;
      tabs.show("log");
      view.toLine(line);
    } else if (test !== undefined && log.tap.found && (ended() || log.tap.tests.some(it => String(it.number) === test))) {
      this.wanted = null;
      tabs.show("tests");
      list.open(test);
    }
  },

  /* A range, without a new entry in the history for each click. */
  set(first, last) {
    const hash = first === last ? `#L${first + 1}` : `#L${Math.min(first, last) + 1}-L${Math.max(first, last) + 1}`;
    history.replaceState(null, "", hash);
    this.read();
  },
};

addEventListener("hashchange", () => links.read());
document.addEventListener("click", event => {
  const number = event.target.closest?.(".number");
  if (!number || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const line = Number(number.parentElement.dataset.line);
  links.set(event.shiftKey && marks.first >= 0 ? marks.first : line, line);
});
$("go").addEventListener("submit", event => {
  event.preventDefault();
  const range = /^\s*L?(\d{1,10})\s*(?:-\s*L?(\d{1,10}))?\s*$/.exec($("line").value);
  if (!range || Number(range[1]) < 1) return announce("Write a line's number, or two with a - between them.");
  if (Number(range[1]) > log.content.lines) announce(`The log has ${thousands(log.content.lines)} lines so far.`);
  tabs.show("log");
  links.set(Number(range[1]) - 1, Number(range[2] ?? range[1]) - 1);
  view.element.focus();
});

/* -- search -- */

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
    this.at = this.count === 0 ? -1 : (this.at < 0 && step < 0 ? this.count - 1 : (this.at + step + this.count) % this.count);
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

  show() {
    const more = this.scan && !this.scan.done ? "…" : "";
    const lines = this.count === 1 ? "line" : "lines";
    setText($("hits"), !this.scan ? "" : this.at >= 0 ? `${thousands(this.at + 1)} of ${thousands(this.count)}${more} ${lines}` : this.count ? `${thousands(this.count)}${more} ${lines}` : more || "nothing");
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
    this.start(null);
  },

  go(step, restart = false) {
    const lines = log.tap.found ? log.tap.failures() : [];
    if (lines.length > 0) return this.goTo(lines, step, restart);
    if (!this.scan) this.start(new RegExp(FAILURE, "gm"), () => { if (this.wanted && this.count > 0) { this.wanted = 0; jump(this.scan.lines.at(this.step(1))); } });
    if (restart) this.at = -1;
    if (this.count > 0) {
      jump(this.scan.lines.at(this.step(step)));
      announce(`Failure ${this.at + 1} of ${this.count}`);
    } else if (this.scan.done) {
      announce("Nothing in the log looks like a failure.");
    } else {
      this.wanted = step;
    }
  },

  goTo(lines, step, restart) {
    this.at = restart ? 0 : (this.at + step + lines.length) % lines.length;
    jump(lines[this.at]);
    announce(`Failure ${this.at + 1} of ${lines.length}`);
  },
});

$("first-failure").addEventListener("click", () => failures.go(1, true));
$("next-failure").addEventListener("click", () => failures.go(1));

/* -- keys -- */

const KEYS = {
  "/": () => $("query").select(),
  n: () => search.go(1), N: () => search.go(-1),
  f: () => failures.go(1, true), e: () => failures.go(1), E: () => failures.go(-1),
  g: () => $("line").select(),
  t: () => tabs.other(),
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || $("help").open) return;
  const { target } = event;
  if (event.key === "Escape" && target !== document.body) return view.element.focus();
  const typing = target.matches("input:not([type=checkbox])");
  if (typing) return;
  if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else if (target !== document.body || tabs.now !== "log" || !view.key(event)) return;
  event.preventDefault();
});
$("help-button").addEventListener("click", () => $("help").showModal());

/* -- light and dark -- */

const theme = {
  NAMES: ["system", "light", "dark"],

  /* Storage may be forbidden; the choice then lasts as long as the page. */
  stored() {
    try { return localStorage.getItem("theme"); } catch { return null; }
  },

  set(name) {
    this.name = this.NAMES.includes(name) ? name : "system";
    document.documentElement.style.colorScheme = this.name === "system" ? "light dark" : this.name;
    $("theme").textContent = `Theme: ${this.name}`;
    try { localStorage.setItem("theme", this.name); } catch { /* as above */ }
  },
};

theme.set(theme.stored());
$("theme").addEventListener("click", () => theme.set(theme.NAMES[(theme.NAMES.indexOf(theme.name) + 1) % 3]));

/* -- begin -- */

$("blocked").hidden = true;
links.read();
follow.show();
view.element.focus({ preventScroll: true });
new Source(sink).run();
