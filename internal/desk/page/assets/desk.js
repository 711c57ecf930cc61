// Keys and small comforts. Every page works without this file.
"use strict";
(() => {
  const $ = (what, where = document) => where.querySelector(what);
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const rows = () => all("[data-rows] [data-row]");
  let at = -1;

  const move = (to) => {
    const list = rows();
    if (!list.length) return;
    at = Math.max(0, Math.min(list.length - 1, to));
    list.forEach((row, i) => row.classList.toggle("at", i === at));
    const link = $("a[data-open]", list[at]);
    if (link) link.focus({ preventScroll: true });
    list[at].scrollIntoView({ block: "nearest" });
  };
  const here = () => rows()[at];

  const press = (name) => {
    const button = $(`[data-key="${CSS.escape(name)}"]`);
    if (!button || button.disabled) return false;
    const row = here();
    const form = button.form;
    if (row && form && form.hasAttribute("data-bulk") && !$("[data-row] input[type=checkbox]:checked")) {
      const box = $("input[type=checkbox]", row);
      if (box) box.checked = true;
    }
    if (button.tagName === "INPUT" || button.tagName === "TEXTAREA" || button.tagName === "SELECT") { button.focus(); if (button.tagName === "INPUT") button.select(); } else button.click();
    return true;
  };

  const help = () => {
    const list = $("#keys-list");
    const lines = all("[data-key]").map((e) => [e.dataset.key, e.dataset.says || e.getAttribute("aria-label") || e.textContent.trim()]);
    const own = $("[data-rows]");
    if (own) lines.unshift(["j / k", own.dataset.move], ["Enter", own.dataset.enter], ["x", own.dataset.pick]);
    list.replaceChildren(...lines.filter((l) => l[1]).map(([key, text]) => {
      const p = document.createElement("p"), k = document.createElement("kbd");
      k.textContent = key;
      p.append(k, " " + text);
      return p;
    }));
    $("#keys").showModal();
  };

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const field = e.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (field) { if (e.key === "Escape") field.blur(); return; }
    if ($("dialog[open]")) return;
    const keys = {
      j: () => move(at + 1), k: () => move(at - 1),
      ArrowDown: rows().length && at >= 0 ? () => move(at + 1) : null, ArrowUp: rows().length && at > 0 ? () => move(at - 1) : null,
      x: () => { const box = here() && $("input[type=checkbox]", here()); if (box) box.click(); },
      "?": help,
    };
    const act = keys[e.key] || (e.key.length === 1 && $(`[data-key="${CSS.escape(e.key)}"]`) ? () => press(e.key) : null);
    if (act) { e.preventDefault(); act(); }
  });

  document.addEventListener("change", (e) => {
    if (!e.target.matches("[data-all]")) return;
    all("[data-row] input[type=checkbox]").forEach((box) => { box.checked = e.target.checked; });
  });
  document.addEventListener("submit", (e) => {
    const button = e.submitter;
    if (button && button.dataset.sure && !window.confirm(button.dataset.sure)) e.preventDefault();
  });
  const menu = $(".taste");
  if (menu) document.addEventListener("click", (e) => { if (!menu.contains(e.target)) menu.open = false; });
})();

// What was typed before the scripts were there, or kept by the browser over a reload, is
// checked like what is typed now.
window.addEventListener("load", () => {
  document.querySelectorAll("textarea[hx-trigger~='kept']").forEach((text) => {
    if (text.value !== text.defaultValue) text.dispatchEvent(new CustomEvent("kept"));
  });
});

// A table that is wider than the screen scrolls, by the keyboard too.
(() => {
  "use strict";
  const reach = () => document.querySelectorAll(".table, .pair table").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  reach();
  window.addEventListener("resize", reach);
  document.addEventListener("htmx:after:swap", reach);
  document.addEventListener("postern:part", reach);
})();
