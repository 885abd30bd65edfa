/* ---- lines: a view that keeps only the rows in the page that can be seen ---- */

/* Creates an element; text is text, never markup. */
function element(name, attributes = {}, ...children) {
  const it = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) it.setAttribute(key, "");
    else if (value !== false && value !== null) it.setAttribute(key, value);
  }
  it.append(...children);
  return it;
}

/* Browsers have no elements taller than some 17 million pixels. A longer log gets a space of this height, and
   the scroll bar moves through it in proportion. */
const TALLEST = 8e6;

/* What is marked in all views: the lines of the link, the line that was jumped to, the words searched for. */
const marks = { version: 0, first: -1, last: -1, hit: -1, words: null };

class Lines {
  static #all = new Set();
  #content;
  #range;             // () => [first line, line after the last]
  #space = element("div", { class: "space" });
  #box = element("div", { class: "rows" });
  #rows = new Map();  // key → element
  #top = 0;           // pixels from the first line to the first that is seen
  #scrolled = 0;      // scrollTop as we left it
  #height = 20;       // of a row
  #widest = 0;
  #due = false;
  onScroll = () => {};
  onResize = () => {};

  /* `range` tells which lines there are, whenever asked. */
  constructor(content, label, range) {
    this.#content = content;
    this.#range = range;
    this.element = element("div", { class: "lines", role: "region", "aria-label": label, tabindex: "0" }, this.#space);
    this.#space.append(this.#box);
    this.element.addEventListener("scroll", () => this.#scroll(), { passive: true });
    this.element.addEventListener("wheel", event => this.#wheel(event), { passive: false });
    this.element.addEventListener("keydown", event => { if (this.key(event)) event.preventDefault(); });
    this.#sizes = new ResizeObserver(() => { this.#measure(); this.onResize(); this.update(); });
    this.#sizes.observe(this.element);
    Lines.#all.add(this);
  }

  #sizes;

  close() {
    this.#sizes.disconnect();
    Lines.#all.delete(this);
  }

  /* The marks have changed. */
  static remark(change) {
    Object.assign(marks, change);
    marks.version += 1;
    for (const view of Lines.#all) view.update();
  }

  get #count() {
    const [first, end] = this.#range();
    return end - first;
  }

  get #total() {
    return this.#count * this.#height;
  }

  get #window() {
    return this.element.clientHeight;
  }

  get #lowest() {
    return Math.max(0, this.#total - this.#window);
  }

  get #scaled() {
    return this.#total > TALLEST;
  }

  get atEnd() {
    return this.#top >= this.#lowest - this.#height;
  }

  get firstSeen() {
    return this.#range()[0] + Math.ceil(this.#top / this.#height - 0.01);
  }

  get rowsSeen() {
    return Math.max(1, Math.floor(this.#window / this.#height));
  }

  #measure() {
    const probe = element("div", { class: "row" }, "0");
    this.#box.append(probe);
    this.#height = probe.getBoundingClientRect().height || this.#height;
    probe.remove();
  }

  /* Draws soon: the log has grown, or something is marked. */
  update() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => { this.#due = false; this.#draw(); });
  }

  to(top) {
    this.#top = Math.min(Math.max(0, top), this.#lowest);
    this.#stretch();
    this.element.scrollTop = this.#scaled ? this.#top / this.#lowest * (TALLEST - this.#window) : this.#top;
    this.#scrolled = this.element.scrollTop;
    this.update();
  }

  toEnd() {
    this.to(this.#lowest);
  }

  /* Brings a line into view, `part` of the height from the top, if it isn't there. */
  toLine(line, part = 0.4) {
    const at = (line - this.#range()[0]) * this.#height;
    if (at < this.#top + this.#height || at > this.#top + this.#window - 3 * this.#height) this.to(at - this.#window * part);
    this.element.scrollLeft = 0;
  }

  #stretch() {
    const height = `${Math.min(this.#total, TALLEST)}px`;
    if (this.#space.style.height !== height) this.#space.style.height = height;
  }

  #scroll() {
    const now = this.element.scrollTop, moved = now - this.#scrolled;
    this.#scrolled = now;
    if (Math.abs(moved) < 1) return;
    const lowest = TALLEST - this.#window;
    if (!this.#scaled) this.#top = now;
    // A finger moves the lines as it moves; the scroll bar leaps.
    else if (Math.abs(moved) < this.#window && now > 0 && now < lowest) this.#top += moved;
    else this.#top = now / lowest * this.#lowest;
    this.#top = Math.min(Math.max(0, this.#top), this.#lowest);
    this.onScroll();
    this.update();
  }

  #wheel(event) {
    if (!this.#scaled || event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    this.to(this.#top + event.deltaY * [1, this.#height, this.#window][event.deltaMode]);
    this.onScroll();
  }

  /* Whether the key was for scrolling. */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return false;
    const page = this.#window - this.#height;
    const down = { j: this.#height, ArrowDown: this.#height, k: -this.#height, ArrowUp: -this.#height,
      PageDown: page, PageUp: -page, " ": event.shiftKey ? -page : page, Home: -Infinity, End: Infinity }[event.key];
    const right = { ArrowLeft: -80, ArrowRight: 80 }[event.key];
    if (right) this.element.scrollLeft += right;
    else if (down) this.to(this.#top + down);
    else return false;
    this.onScroll(event.key === "End");
    return true;
  }

  #draw() {
    if (this.#window === 0) return;
    const [first, end] = this.#range();
    this.#stretch();
    this.#top = Math.min(this.#top, this.#lowest);
    const from = first + Math.floor(this.#top / this.#height);
    const to = Math.min(end, from + Math.ceil(this.#window / this.#height) + 1);
    const rows = new Map();
    let pen = null;
    for (let line = from; line < to; line += 1) {
      const key = `${line} ${this.#content.end(line)} ${marks.version}`;
      pen = this.#row(rows, key, line, pen);
    }
    this.#place(rows);
    this.#box.style.height = `${Math.min(this.#window, this.#total)}px`;
    this.element.style.setProperty("--digits", String(end).length);
    const shift = -(this.#top % this.#height);
    for (const row of rows.values()) row.style.transform = shift ? `translateY(${shift}px)` : "";
    // What was wide once stays wide, or the view would jump to the left.
    if (this.#box.scrollWidth > this.#widest + 1) {
      this.#widest = this.#box.scrollWidth;
      this.#space.style.minWidth = `${this.#widest}px`;
    }
  }

  /* The row of a line, made if it is not there; returns the pen at its end, if that is known. */
  #row(rows, key, line, pen) {
    const old = this.#rows.get(key);
    if (old) {
      rows.set(key, old);
      return null;
    }
    const { text, cut } = lineText(this.#content, line);
    const { runs, pen: after } = runsOf(text, pen ?? penBefore(this.#content, line));
    rows.set(key, rowElement(line, runs, cut));
    return after;
  }

  /* Puts the rows in, and leaves those alone that are there: somebody may be selecting text. */
  #place(rows) {
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.remove();
    this.#rows = rows;
    let at = this.#box.firstChild;
    for (const row of rows.values()) {
      if (row === at) at = at.nextSibling;
      else this.#box.insertBefore(row, at);
    }
  }
}

function rowElement(line, runs, cut) {
  const chosen = line >= marks.first && line <= marks.last, hit = line === marks.hit;
  // Not a stop for the tab key: there are too many. The key `g` makes the same links.
  const link = { class: "number", href: `#L${line + 1}`, tabindex: "-1", "aria-label": `Line ${line + 1}` };
  const number = element("a", link, String(line + 1));
  const text = element("span", { class: "text" });
  appendRuns(text, runs);
  if (cut) text.append(element("span", { class: "cut" }, ` … and ${sizeText(cut)} more in this line: see the raw log`));
  return element("div", { class: `row${chosen ? " chosen" : ""}${hit ? " hit" : ""}`, "data-line": line }, number, text);
}

/* Words that are marked in a line; a search for one letter finds too many. */
const MOST_MARKS = 200;

/* The words searched for may begin in one run and end in another. */
function appendRuns(parent, runs) {
  const found = [];
  for (const it of marks.words ? runs.map(it => it.text).join("").matchAll(marks.words) : []) {
    if (found.push([it.index, it.index + it[0].length]) === MOST_MARKS) break;
  }
  let at = 0;
  for (const { text, pen } of runs) {
    const target = pen === PLAIN ? parent : parent.appendChild(penElement(pen));
    let from = 0;
    for (const [start, end] of found) {
      const a = Math.max(start - at, from), b = Math.min(end - at, text.length);
      if (a >= b) continue;
      target.append(text.slice(from, a), element("mark", {}, text.slice(a, b)));
      from = b;
    }
    target.append(text.slice(from));
    at += text.length;
  }
}

function penElement(pen) {
  const it = element("span");
  for (const name of ["bold", "dim", "italic", "underline", "strike"]) if (pen[name]) it.classList.add(name);
  const css = colour => typeof colour === "number" ? `var(--c${colour})` : colour;
  let front = css(pen.front), back = css(pen.back);
  if (pen.inverse) [front, back] = [back ?? "var(--back)", front ?? "var(--text)"];
  // A colour of the theme is for text; behind text it takes the page's own colour on top.
  if (back && typeof pen.back === "number" && pen.front === null && !pen.inverse) front = "var(--back)";
  if (front) it.style.color = front;
  if (back) it.style.backgroundColor = back;
  return it;
}
