/* ---- source: follows the files beside the page ----

   log.chunks   JSON list of the sizes of the chunks in bytes; gone when the log has ended
   log.S-E      the bytes from S up to, not including, E
   log          everything, when the log has ended

   Chunks are merged while we read, so one may be gone: the list, read again, says where its bytes are now.
   Nothing is read twice: of what we know the beginning of, only the rest is asked for. */

const State = Object.freeze({
  LOADING: "Loading", RUNNING: "Running", ENDED: "Ended", ABSENT: "No log", TROUBLE: "Trying again", LONG: "Too long",
});

const POLL_MS = 1000;           // while the log grows
const QUIET_POLL_MS = 2000;     // when nothing came for a while
const QUIET_AFTER = 120;        // looks without news
const HIDDEN_POLL_MS = 15000;   // while nobody sees the page
const MERGED_MS = 200;          // before the list is read again for a chunk that is gone
const LONGEST_WAIT_MS = 30000;  // between tries when nothing works
const ANSWER_MS = 20000;        // without a byte
const PIECE = 1 << 16;          // what is taken in at once
const LARGEST = 1e9;            // bytes that a page can hold; more would take the browser down

/* There is something new to be known right away. */
class Merged extends Error {}

class Source {
  #sink;
  #wake = () => {};

  /* The sink has `length`, `take(bytes)`, `clear()` and `tell(state, text)`. */
  constructor(sink) {
    this.#sink = sink;
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#wake(); });
    addEventListener("online", () => this.#wake());
  }

  async run() {
    let failed = 0, merged = 0, quiet = 0;
    for (;;) {
      const before = this.#sink.length;
      let wait;
      try {
        const state = await this.#look();
        this.#sink.tell(state);
        if (state === State.ENDED || state === State.LONG) return;
        failed = merged = 0;
        quiet = this.#sink.length === before ? quiet + 1 : 0;
        wait = state === State.ABSENT ? 5 * POLL_MS : quiet > QUIET_AFTER ? QUIET_POLL_MS : POLL_MS;
      } catch (error) {
        // What arrived before an error counts: a long log over a bad line gets there in the end.
        if (this.#sink.length > before) failed = merged = 0;
        if (error instanceof Merged && merged < 5) {
          merged += 1;
          wait = MERGED_MS * merged;
        } else {
          failed += 1;
          wait = Math.min(LONGEST_WAIT_MS, POLL_MS * 2 ** (failed - 1)) * (0.75 + Math.random() / 2);
          this.#sink.tell(State.TROUBLE, explanation(error));
        }
      }
      await this.#pause(document.hidden ? Math.max(wait, HIDDEN_POLL_MS) : wait);
    }
  }

  /* A pause that ends early when somebody looks at the page again. */
  #pause(ms) {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  async #look() {
    const list = await this.#get("log.chunks", async response => response && checkedSizes(await response.json()));
    if (!list) return this.#rest();
    if (list.reduce((sum, size) => sum + size, 0) < this.#sink.length) this.#sink.clear(); // another attempt
    let start = 0;
    for (const size of list) {
      const end = start + size;
      if (end > this.#sink.length) {
        const name = `log.${start}-${end}`;
        if (!await this.#read(name, start)) throw new Merged();
        if (this.#sink.length >= LARGEST) return State.LONG;
        if (this.#sink.length !== end) throw new Error(`${name} is not of its size`);
      }
      start = end;
    }
    return State.RUNNING;
  }

  /* It is over: what is not read yet. */
  async #rest() {
    if (!await this.#read("log", 0)) return State.ABSENT;
    return this.#sink.length >= LARGEST ? State.LONG : State.ENDED;
  }

  /* Reads a file whose first byte is the log's byte `start`, from where we are. False: there is no such file. */
  #read(name, start) {
    const skip = this.#sink.length - start;
    return this.#get(name, async (response, alive) => {
      if (!response) return false;
      if (response.status === 416) return this.#checkEnd(response, skip);
      // A server may ignore the range and send everything, or a part that we did not ask for.
      let ahead = response.status === 206 ? skip - rangeStart(response, skip) : skip;
      if (ahead < 0) throw new Error(`${name}: the server sent another range`);
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        const news = value.subarray(Math.min(ahead, value.length));
        ahead -= value.length - news.length;
        await this.#sink.take(news.subarray(0, LARGEST - this.#sink.length));
        if (this.#sink.length >= LARGEST) break;
      }
      if (ahead > 0) this.#sink.clear(); // shorter than what we have: it is another attempt's
      if (ahead > 0) throw new Merged();
      return true;
    }, skip > 0 ? { Range: `bytes=${skip}-` } : {});
  }

  /* Nothing after what we have: fine, if that is all. */
  #checkEnd(response, skip) {
    const size = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
    if (!size || Number(size[1]) >= skip) return true;
    this.#sink.clear();
    throw new Merged();
  }

  /* What `use` makes of the response; of null when there is no such file, for which a bucket that must not be
     listed says 403. A server that goes silent is given up. */
  async #get(name, use, headers = {}) {
    const control = new AbortController();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => control.abort(new Error(`${name}: no answer`)), ANSWER_MS);
    };
    alive();
    try {
      const response = await fetch(`./${name}`, { cache: "no-store", headers, signal: control.signal });
      if ([403, 404, 410].includes(response.status)) return await use(null);
      if (!response.ok && response.status !== 416) throw new Error(`${name}: HTTP ${response.status}`);
      return await use(response, alive);
    } finally {
      clearTimeout(timer);
      control.abort();
    }
  }
}

function checkedSizes(list) {
  if (!Array.isArray(list) || !list.every(it => Number.isSafeInteger(it) && it >= 0)) {
    throw new Error("log.chunks: not a list of sizes");
  }
  return list;
}

/* The first byte of the part that the server sent. */
function rangeStart(response, asked) {
  const range = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "");
  return range ? Number(range[1]) : asked;
}

function explanation(error) {
  if (location.protocol === "file:") {
    return "Browsers do not let a page read the files beside it: open “Raw log”, or serve this folder by HTTP.";
  }
  return error instanceof TypeError ? "The server cannot be reached." : `${error.message}.`;
}
