/* ---- views: following the log, the two tabs ---- */

const follow = {
  on: true,

  /* Whether the end is in view because the log was followed. */
  sticking: false,

  stick() {
    if (this.on && log.state !== State.LOADING && !ended()) {
      this.sticking = true;
      view.toEnd();
    }
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
view.onResize = () => follow.stick();
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

