/* ---- tests: the list, failed first; each folds out its part of the log and its attachments ---- */

const MORE = 100;              // tests shown at once in a group
const FOLD_ROWS = 24;          // lines of a folded-out part that are seen at once
const SEARCHED = 4e6;          // bytes at the end of a part that are looked through for attachments
const WORDS = {
  [Verdict.FAILED]: ["✘ failed", "bad"], [Verdict.RETRIED]: ["↻ retried", "warn"],
  [Verdict.SKIPPED]: ["↷ skipped", "warn"], [Verdict.PASSED]: ["✔ passed", "good"],
};

/* One heading with the tests of one verdict. Its entries are made when it is open, and MORE at a time. */
class Group {
  #list = element("ul", { class: "tests" });
  #title = element("h2");
  #more = element("button", { type: "button", hidden: true });
  #limit = MORE;
  #made = 0;
  #wanted = [];
  tests = [];

  constructor(name, open, entry) {
    this.name = name;
    this.entry = entry;
    this.element = element("details", { open, hidden: true }, element("summary", {}, this.#title), this.#list, this.#more);
    this.element.addEventListener("toggle", () => this.show());
    this.#more.addEventListener("click", () => {
      this.#limit += MORE;
      const next = this.#made;
      this.show();
      this.#list.children[next]?.querySelector("button").focus();
    });
  }

  get entries() {
    return this.#list.children;
  }

  add(test, filter) {
    this.tests.push(test);
    if (filter(test)) this.#wanted.push(test);
  }

  /* Begins again, with the tests that pass the filter. */
  filter(filter) {
    this.#wanted = this.tests.filter(filter);
    this.#limit = MORE;
    this.#made = 0;
    for (const entry of this.#list.children) entry.close();
    this.#list.replaceChildren();
    this.show();
  }

  show() {
    const count = this.#wanted.length;
    this.element.hidden = count === 0;
    const title = `${this.name} (${thousands(count)})`;
    if (this.#title.textContent !== title) this.#title.textContent = title;
    if (!this.element.open) return;
    while (this.#made < Math.min(count, this.#limit)) this.#list.append(this.entry(this.#wanted[this.#made++]));
    this.#more.hidden = this.#made >= count;
    this.#more.textContent = `Show ${thousands(Math.min(MORE, count - this.#made))} more`;
  }

  /* Shows a test and returns its entry. */
  reveal(test) {
    const index = this.#wanted.indexOf(test);
    if (index < 0) return null;
    this.element.open = true;
    this.#limit = Math.max(this.#limit, index + 1);
    this.show();
    return this.#list.children[index];
  }
}

class TestList {
  #tap;
  #content;
  #ended;             // () => whether there will be no more
  #taken = 0;
  #tests = null;      // the list that was taken from
  #filter = () => true;
  #groups;
  #running = element("p", { hidden: true });

  constructor(content, tap, ended) {
    this.#content = content;
    this.#tap = tap;
    this.#ended = ended;
    const entry = test => this.#entry(test);
    this.#groups = new Map([
      [Verdict.FAILED, new Group("Failed", true, entry)], [Verdict.RETRIED, new Group("Retried", true, entry)],
      [Verdict.SKIPPED, new Group("Skipped", false, entry)], [Verdict.PASSED, new Group("Passed", false, entry)],
    ]);
    document.getElementById("groups").replaceChildren(...[...this.#groups.values()].map(it => it.element), this.#running);
  }

  /* Takes up what the log has said since. */
  update() {
    if (this.#tests !== this.#tap.tests) {
      this.#tests = this.#tap.tests;
      this.#taken = 0;
      for (const group of this.#groups.values()) { group.tests = []; group.filter(() => false); }
    }
    for (; this.#taken < this.#tests.length; this.#taken += 1) {
      const test = this.#tests[this.#taken];
      this.#groups.get(test.verdict).add(test, this.#filter);
    }
    for (const group of this.#groups.values()) group.show();
    this.#showRunning();
  }

  #showRunning() {
    const first = this.#tap.part + 1, last = this.#content.lines;
    const missing = this.#tap.missing;
    this.#running.hidden = missing === 0;
    if (missing === 0) return;
    const tests = missing === 1 ? "test has" : "tests have";
    this.#running.replaceChildren(`${thousands(missing)} ${tests} no result${this.#ended() ? "" : " yet"}`);
    if (last >= first) this.#running.append(": ", linesLink(first - 1, last - 1));
  }

  only(words) {
    const wanted = words.toLowerCase();
    this.#filter = test => test.name.toLowerCase().includes(wanted);
    for (const group of this.#groups.values()) group.filter(this.#filter);
  }

  /* The log has ended, and attachments are there. */
  refold() {
    for (const group of this.#groups.values()) for (const entry of group.entries) entry.again();
  }

  /* Folds out a test and goes there; `number` as older pages link to it: 117, or 117-1 for its first retry. */
  open(number) {
    const [, id, retry] = /^(\d+)(?:-(\d+))?$/.exec(number);
    const of = this.#tap.tests.filter(it => it.number === Number(id));
    const test = of.find(it => String(it.retry ?? "") === (retry ?? "")) ?? of[0];
    if (!test) return false;
    this.#open(test);
    return true;
  }

  openFirstFailure() {
    const failed = this.#groups.get(Verdict.FAILED).tests[0];
    if (failed) this.#open(failed, false);
  }

  #open(test, focus = true) {
    const entry = this.#groups.get(test.verdict).reveal(test);
    if (!entry) return;
    entry.unfold();
    if (!focus) return;
    entry.querySelector("button").focus({ preventScroll: true });
    entry.scrollIntoView({ block: "start" });
  }

  #entry(test) {
    const [words, look] = WORDS[test.verdict];
    const more = [];
    if (test.retry !== null) more.push(`try ${test.retry}`);
    if (test.seconds !== null) more.push(timeText(test.seconds));
    const toggle = element("button", { type: "button", class: "toggle", "aria-expanded": "false" },
      element("span", { class: `mark ${look}` }, test.verdict === Verdict.RETRIED && test.ok ? "↻ repeated" : words),
      element("span", { class: "name" }, visible(test.name)), element("span", { class: "more" }, more.join(", ")));
    const entry = element("li", { class: "test", id: `test-${test.number}${test.retry === null ? "" : `-${test.retry}`}` },
      element("div", { class: "head" }, toggle, linesLink(test.first, test.last)));
    const reason = [test.reason, partsText(test)].filter(Boolean).join("; ");
    if (reason) entry.append(element("p", { class: "reason" }, visible(reason)));
    let fold = null;
    entry.unfold = () => {
      if (fold) return;
      fold = this.#fold(test);
      entry.append(fold.element);
      toggle.setAttribute("aria-expanded", "true");
      fold.view.toEnd(); // where tests say why they failed
    };
    entry.close = () => {
      fold?.view.close();
      fold?.element.remove();
      fold = null;
      toggle.setAttribute("aria-expanded", "false");
    };
    entry.again = () => {
      if (!fold) return;
      entry.close();
      entry.unfold();
    };
    toggle.addEventListener("click", () => fold ? entry.close() : entry.unfold());
    return entry;
  }

  #fold(test) {
    const view = new Lines(this.#content, `Log of ${visible(test.name)}`, () => [test.first, test.last + 1]);
    const rows = Math.min(test.last + 1 - test.first, FOLD_ROWS);
    view.element.style.height = `${1.25 * rows + 1.2}rem`;
    const end = this.#content.end(test.last);
    const text = blockText(this.#content.bytes(Math.max(this.#content.start(test.first), end - SEARCHED), end));
    const files = attachmentsIn(text).sort((a, b) => a.picture - b.picture).map(it => fileElement(it, this.#ended()));
    const fold = element("div", { class: "fold" });
    if (files.length > 0) {
      fold.append(element("ul", { class: "files", "aria-label": "Attachments" }, ...files));
      if (!this.#ended()) fold.append(element("p", { class: "weak" }, "They can be opened when the job has ended."));
    }
    fold.append(view.element);
    return { element: fold, view };
  }
}

const linesLink = (first, last) =>
  element("a", { href: `#L${first + 1}-L${last + 1}` }, `lines ${thousands(first + 1)}–${thousands(last + 1)}`);

function partsText({ parts, failedParts }) {
  if (failedParts.length === 0) return "";
  const SHOWN = 10;
  const names = failedParts.slice(0, SHOWN).map(it => it.name).join(", ");
  return `${failedParts.length} of ${parts} parts failed: ${names}${failedParts.length > SHOWN ? ", …" : ""}`;
}

/* A link; a picture as itself, unless it turns out that there is none. */
function fileElement({ label, name, link, picture }, isThere) {
  const anchor = element("a", { href: link, target: "_blank", rel: "noopener", title: name });
  if (picture && isThere) {
    const image = element("img", { src: link, alt: "", loading: "lazy" });
    image.addEventListener("error", () => image.remove());
    anchor.append(image);
  }
  anchor.append(label, " ", element("span", { class: "file" }, name));
  return element("li", {}, anchor);
}
