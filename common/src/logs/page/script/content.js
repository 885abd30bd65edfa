/* ---- content: the bytes of the log, and where its lines begin ---- */

const NEWLINE = 10;

/* Numbers up to 2^32, many of them: blocks, so that growing copies nothing. */
class Numbers {
  static #BLOCK = 1 << 16;
  #blocks = [];
  length = 0;

  push(number) {
    if (this.length % Numbers.#BLOCK === 0) this.#blocks.push(new Uint32Array(Numbers.#BLOCK));
    this.#blocks[this.#blocks.length - 1][this.length % Numbers.#BLOCK] = number;
    this.length += 1;
  }

  at(index) {
    return this.#blocks[Math.floor(index / Numbers.#BLOCK)][index % Numbers.#BLOCK];
  }

  /* The index of the first number that is at least `number`; the numbers ascend. */
  firstFrom(number) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.at(middle) < number) low = middle + 1; else high = middle;
    }
    return low;
  }
}

/* The log so far. Nothing is decoded here: of 100 MB a reader sees fifty lines. Lines are counted from 0 in the
   script, from 1 on the screen and in links. */
class Content {
  static #SEGMENT = 1 << 20;
  #segments = [];
  #starts = new Numbers();
  length = 0;     // bytes
  complete = 0;   // lines that have their newline

  constructor() {
    this.clear();
  }

  clear() {
    this.#segments = [];
    this.#starts = new Numbers();
    this.#starts.push(0);
    this.length = this.complete = 0;
  }

  /* All lines, with one that has no newline yet. */
  get lines() {
    return this.complete + (this.start(this.complete) < this.length ? 1 : 0);
  }

  /* Offset of the first byte of a line. */
  start(line) {
    return this.#starts.at(line);
  }

  /* Offset after the last byte of a line, without its newline. */
  end(line) {
    return line < this.complete ? this.start(line + 1) - 1 : this.length;
  }

  /* The line that the byte at `offset` is in. */
  lineAt(offset) {
    return this.#starts.firstFrom(offset + 1) - 1;
  }

  append(piece) {
    for (let at = 0; at < piece.length;) {
      const room = this.length % Content.#SEGMENT;
      if (room === 0) this.#segments.push(new Uint8Array(Content.#SEGMENT));
      const part = piece.subarray(at, at + Content.#SEGMENT - room);
      this.#segments[this.#segments.length - 1].set(part, room);
      this.#index(part);
      this.length += part.length;
      at += part.length;
    }
  }

  #index(part) {
    for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, at + 1)) {
      this.#starts.push(this.length + at + 1);
      this.complete += 1;
    }
  }

  byte(offset) {
    return this.#segments[Math.floor(offset / Content.#SEGMENT)][offset % Content.#SEGMENT];
  }

  /* The bytes from `start` to before `end`: a view where they are in one segment, else a copy. */
  bytes(start, end) {
    const first = Math.floor(start / Content.#SEGMENT), from = start % Content.#SEGMENT;
    if (start === end) return new Uint8Array();
    if (from + (end - start) <= Content.#SEGMENT) return this.#segments[first].subarray(from, from + end - start);
    const copy = new Uint8Array(end - start);
    for (let at = start; at < end;) {
      const room = at % Content.#SEGMENT;
      const part = this.#segments[Math.floor(at / Content.#SEGMENT)].subarray(room, room + end - at);
      copy.set(part, at - start);
      at += part.length;
    }
    return copy;
  }
}

/* Long work goes in slices, so that the page answers: a message to oneself is the shortest wait that lets the
   browser draw and take keys. */
const turns = [];
const channel = new MessageChannel();
channel.port1.onmessage = () => turns.shift()();
const turn = () => new Promise(resolve => { turns.push(resolve); channel.port2.postMessage(0); });

class Slice {
  static #MS = 12;
  #since = performance.now();

  /* Called often within long work. */
  async rest() {
    if (performance.now() - this.#since < Slice.#MS) return;
    await turn();
    this.#since = performance.now();
  }
}
