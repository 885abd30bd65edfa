/* ---- keys, light and dark, and the beginning ---- */

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
  if (event.key === "Escape" && target !== document.body) {
    event.preventDefault(); // it would empty a search field
    return tabs.now === "log" ? view.element.focus() : target.blur();
  }
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
new Source(sink).run();
