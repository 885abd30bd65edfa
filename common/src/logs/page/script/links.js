/* ---- links: #L12 and #L12-L20 to lines; #117 and #117-1 to tests, as older pages have them ---- */

const links = {
  wanted: null,   // what has not arrived yet

  get any() {
    return this.wanted !== null || marks.first >= 0;
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

