/* ---- attachments: files beside the log, by the words with which tests announce them ---- */

const FILE = String.raw`([\w@+][\w.@+-]*(?:/[\w@+][\w.@+-]*)*/?)`;
const WORDS_BEFORE = String.raw`(?:Wrote ([\w ]{1,40}) to|(Journal) extracted to|(New pixel test reference)|(Code coverage report) in)`;
const ANNOUNCED = new RegExp(String.raw`${WORDS_BEFORE} ${FILE}\s*$`, "gm");
const PIXELS = /(?:Pixel test ([\w.-]+) failed:|Differences in pixel test ([\w.-]+)\s*$)/gm;
const ATTACHED = new RegExp(String.raw`/var/tmp/attachments/${FILE}`, "g");
const PICTURE = /\.(?:png|jpe?g|gif|webp)$/i;

/* { label, link, picture } of each file that a part of a log names, once. All are in the log's folder or below. */
function attachmentsIn(text) {
  const found = new Map();
  const add = (label, file, hash = "") => {
    const link = `./${file.split("/").map(encodeURIComponent).join("/")}${hash}`;
    if (!found.has(link)) found.set(link, { label, name: file, link, picture: PICTURE.test(file) });
  };
  for (const [, wrote, journal, reference, coverage, file] of text.matchAll(ANNOUNCED)) {
    add((wrote ?? journal ?? reference ?? coverage).toLowerCase(), file);
  }
  for (const [, one, other] of text.matchAll(PIXELS)) {
    add("changed pixels", "pixeldiff.html", `#${encodeURIComponent(one ?? other)}`);
  }
  for (const [, file] of text.matchAll(ATTACHED)) add("attachment", file.replace(/\.$/, ""));
  return [...found.values()];
}
