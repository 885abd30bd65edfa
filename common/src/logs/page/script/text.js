/* ---- text: from bytes to what is shown ---- */

/* A terminal's escape: a control sequence, a string (title, link), or a short one. None goes over the end of its
   line, and one without its end hides no more than its first bytes. */
const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]*[0-~])?/g;
/* What would be invisible or turn the order of the text around: other controls, and those of writing direction. */
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/* Of a longer line only the beginning is shown. */
const LONGEST = 10000;
/* Of a line with more changes of colour the rest has none, or a screen of such lines would be slow. */
const MOST_RUNS = 300;

const decoder = new TextDecoder();
const ESC = 0x1b, CR = 0x0d;

/* Text without escapes. */
const plain = text => text.includes("\x1b") ? text.replace(ESCAPE, "") : text;

/* Text without the carriage returns at its end. A regular expression for that takes quadratic time for a line that
   is full of them, and logs may be hostile. */
function withoutReturns(text) {
  let end = text.length;
  while (end > 0 && text[end - 1] === "\r") end -= 1;
  return text.slice(0, end);
}

/* Of a line that was written over with carriage returns, what was written last. */
function lastWritten(bytes) {
  const FAR = 100; // times that it was written over with nothing
  for (let end = bytes.length, tries = 0; end > 0 && tries < FAR; tries += 1) {
    const at = bytes.lastIndexOf(CR, end - 1);
    const part = bytes.subarray(at + 1, end);
    if (part.length > LONGEST || plain(decoder.decode(part)).trim() !== "") return part;
    if (at < 0) break;
    end = at;
  }
  return bytes.subarray(0, 0);
}

/* The text of a line, with its escapes, and how many bytes of it were cut off. */
function lineText(content, line) {
  const start = content.start(line), end = content.end(line);
  let bytes = content.bytes(start, end);
  if (bytes.includes(CR)) bytes = lastWritten(bytes);
  return { text: decoder.decode(bytes.subarray(0, LONGEST)), cut: Math.max(0, bytes.length - LONGEST) };
}

/* The text of whole lines as it is searched: without escapes, and without what was written over. */
function blockText(bytes) {
  let text = decoder.decode(bytes);
  if (bytes.includes(ESC)) text = plain(text);
  if (!bytes.includes(CR)) return text;
  const last = line => line.slice(line.lastIndexOf("\r") + 1);
  return text.split("\n").map(line => line.includes("\r") ? last(withoutReturns(line)) : line).join("\n");
}

/* U+2400 and following are pictures of the control characters. */
function visible(text) {
  return text.replace(CONTROL, character => {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `<${code < 0x100 ? "" : "U+"}${code.toString(16).toUpperCase()}>`;
  });
}

/* The state of the "pen": colours are null, a number up to 15 for the theme's, or a CSS colour. */
const PLAIN = Object.freeze({
  front: null, back: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false,
});
const SWITCHES = { 1: ["bold"], 2: ["dim"], 3: ["italic"], 4: ["underline"], 7: ["inverse"], 9: ["strike"] };
const ENDS = { 21: ["bold"], 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

/* The pen after "select graphic rendition" (SGR) with these parameters. */
function penAfter(pen, parameters) {
  if (/[<=>?]/.test(parameters)) return pen; // private sequences that end in `m` are no SGR
  const next = { ...pen };
  const codes = parameters.split(";");
  for (let i = 0; i < codes.length; i += 1) {
    const [code, ...parts] = codes[i].split(":").map(Number);
    if (code === 0) Object.assign(next, PLAIN);
    else if (SWITCHES[code]) SWITCHES[code].forEach(it => { next[it] = true; });
    else if (ENDS[code]) ENDS[code].forEach(it => { next[it] = false; });
    else if (code >= 30 && code <= 37) next.front = code - 30;
    else if (code >= 90 && code <= 97) next.front = code - 82;
    else if (code >= 40 && code <= 47) next.back = code - 40;
    else if (code >= 100 && code <= 107) next.back = code - 92;
    else if (code === 39) next.front = null;
    else if (code === 49) next.back = null;
    else if (code === 38 || code === 48) {
      const rest = parts.length ? parts : codes.slice(i + 1).map(Number);
      const [colour, used] = extendedColour(rest, parts.length > 0);
      next[code === 38 ? "front" : "back"] = colour;
      if (!parts.length) i += used;
    }
  }
  return Object.keys(PLAIN).every(it => next[it] === PLAIN[it]) ? PLAIN : next;
}

/* `5;N` of 256 colours, or `2;R;G;B`; with colons there is one more field before R. And how many fields that took. */
function extendedColour(fields, colons) {
  const byte = it => Math.min(255, Math.max(0, it | 0));
  if (fields[0] === 5) return [paletteColour(byte(fields[1])), 2];
  if (fields[0] !== 2) return [null, 0];
  const [red, green, blue] = fields.slice(colons && fields.length > 4 ? 2 : 1).map(byte);
  return [`rgb(${red ?? 0} ${green ?? 0} ${blue ?? 0})`, 4];
}

function paletteColour(number) {
  if (number < 16) return number;
  if (number >= 232) { const grey = 8 + 10 * (number - 232); return `rgb(${grey} ${grey} ${grey})`; }
  const level = it => it % 6 === 0 ? 0 : 55 + 40 * (it % 6);
  const cube = number - 16;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6))} ${level(cube)})`;
}

/* A line as runs of one look, and the pen after it. */
function runsOf(text, pen) {
  const runs = [];
  let at = 0;
  const add = to => {
    if (to === at) return;
    const last = runs[runs.length - 1], part = visible(text.slice(at, to));
    if (last?.pen === pen) last.text += part; else runs.push({ text: part, pen });
  };
  for (const match of text.matchAll(ESCAPE)) {
    add(match.index);
    at = match.index + match[0].length;
    if (match[2] === "m") pen = runs.length < MOST_RUNS ? penAfter(pen, match[1]) : PLAIN;
  }
  add(text.length);
  return { runs, pen };
}

/* The pen at the beginning of a line: some programs colour several lines at once. Looking back as far as it
   takes would be slow, so it is as far as people see. */
function penBefore(content, line) {
  const FAR_LINES = 200, FAR_BYTES = 1 << 16;
  const from = content.start(Math.max(0, line - FAR_LINES)), to = content.start(line);
  const bytes = content.bytes(Math.max(from, to - FAR_BYTES), to);
  if (!bytes.includes(ESC)) return PLAIN;
  let pen = PLAIN;
  for (const match of decoder.decode(bytes).matchAll(ESCAPE)) {
    if (match[2] === "m") pen = penAfter(pen, match[1]);
  }
  return pen;
}

const thousands = number => number.toLocaleString("en");

function sizeText(bytes) {
  const [unit, name] = bytes < 1e3 ? [1, "B"] : bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${unit === 1 ? bytes : (bytes / unit).toFixed(1)} ${name}`;
}

function timeText(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}
