// Countdowns that go on by themselves, and snippets put where the cursor stands. The pages say
// the same without this file.
"use strict";
(() => {
  const lang = document.documentElement.lang || "en";
  const unit = (n, of) => new Intl.NumberFormat(lang, { style: "unit", unit: of, unitDisplay: "long" }).format(n);
  const span = (s) => {
    s = Math.abs(s);
    if (s < 60) return unit(Math.floor(s), "second");
    if (s < 7200) return unit(Math.floor(s / 60), "minute");
    if (s < 172800) return unit(Math.floor(s / 3600), "hour");
    return unit(Math.floor(s / 86400), "day");
  };
  const skew = (() => { // the clock of the gateway counts, not the reader's
    const at = document.querySelector("[data-now]");
    return at ? Number(at.dataset.now) * 1000 - Date.now() : 0;
  })();
  const tick = () => {
    const now = (Date.now() + skew) / 1000;
    for (const e of document.querySelectorAll("[data-count]")) {
      const [half, soon, late] = e.dataset.count.split(" ").map(Number);
      const step = now >= late ? "late" : now >= soon ? "soon" : now >= half ? "half" : "calm";
      const time = e.querySelector("time");
      const text = (step === "late" ? e.dataset.late : e.dataset.in).replace("{span}", span(late - now));
      if (time.textContent !== text) time.textContent = text;
      if (!e.classList.contains(step)) {
        e.classList.remove("calm", "half", "soon", "late");
        e.classList.add(step);
      }
    }
  };
  tick();
  setInterval(tick, 1000);

  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-snippet]");
    if (!button) return;
    const body = document.querySelector("textarea[name=body]");
    if (!body) return;
    e.preventDefault();
    const text = button.dataset.snippet;
    body.setRangeText(text, body.selectionStart, body.selectionEnd, "end");
    body.focus();
  });

  // ;name and a space puts a snippet where the name stands.
  document.addEventListener("keydown", (e) => {
    if (e.key !== " " || e.isComposing || !e.target.matches("textarea[name=body]")) return;
    const body = e.target, end = body.selectionStart;
    if (end !== body.selectionEnd) return;
    const typed = /(?:^|\s)[;\u037E\uFF1B]([^\s;]{1,20})$/u.exec(body.value.slice(0, end));
    if (!typed) return;
    const name = typed[1].toLowerCase();
    const button = [...document.querySelectorAll("[data-short]")].find((b) => b.dataset.short.toLowerCase() === name);
    if (!button) return;
    e.preventDefault();
    body.setRangeText(button.dataset.snippet, end - typed[1].length - 1, end, "end");
  });
})();
