/* ---- main: what is known of the log, and what the page says of it ---- */

const $ = id => document.getElementById(id);

/* Everything that the page knows of the log. */
const log = { content: new Content(), tap: new Tap(), state: State.LOADING, problem: "", attempt: 0 };
const ended = () => log.state === State.ENDED || log.state === State.LONG;

const view = new Lines(log.content, "Log", () => [0, log.content.lines]);
let list = new TestList(log.content, log.tap, ended);
$("panel-log").append(view.element);

/* -- taking in -- */

const sink = {
  slice: new Slice(),

  get length() {
    return log.content.length;
  },

  async take(bytes) {
    const attempt = log.attempt;
    for (let at = 0; at < bytes.length && attempt === log.attempt; at += PIECE) {
      log.content.append(bytes.subarray(at, at + PIECE));
      log.tap.read(log.content);
      refresh();
      await this.slice.rest();
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
    if (ended()) atEnd();
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
    [tap.skipped, "skipped", tap.skipped ? "warn" : ""],
    [tap.retried, tap.retried === 1 ? "retry" : "retries", tap.retried ? "warn" : ""],
    ...tap.missing ? [[tap.missing, ended() ? "without a result" : "to go", ended() ? "bad" : ""]] : [],
  ];
}

function showCounts() {
  const { tap } = log;
  $("summary").hidden = !tap.found;
  if (!tap.found) return;
  const item = ([number, words, look]) => element("li", { class: look }, element("strong", {}, thousands(number)), ` ${words}`);
  const items = counts().map(item);
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

/* The log is complete. Of a run that failed, people want to know why: they see the tests that failed, or else the
   last words. One who reads already, or came for a line, is left alone. */
function atEnd() {
  log.tap.read(log.content, true);
  $("tab-tests").hidden = !log.tap.found;
  list.refold();
  if (touched || links.any) return;
  if (log.tap.failed > 0) {
    tabs.show("tests");
    list.openFirstFailure();
  } else if (verdict().look === "bad" || follow.sticking) {
    view.toEnd();
  }
}

let touched = false; // from the first key or click on, the page shows what it is told to
for (const type of ["keydown", "pointerdown", "wheel"]) {
  addEventListener(type, () => { touched = true; }, { capture: true, passive: true });
}
