// The editor of rules: numbers beside the lines, marks where something is wrong, and help for
// the place of the caret. The pages work without it.
"use strict";
(() => {
  const text = document.getElementById("text");
  if (!text) return;
  const form = text.form, numbers = document.querySelector(".code .numbers"), checked = document.getElementById("checked");

  const wrong = () => {
    const at = checked && checked.querySelector("[data-wrong]");
    return new Set(at ? at.dataset.wrong.split(" ").filter(Boolean).map(Number) : []);
  };
  const number = () => {
    const bad = wrong(), n = text.value.split("\n").length;
    numbers.replaceChildren(...Array.from({ length: n }, (_, i) => {
      const line = document.createElement("span");
      line.textContent = (i + 1) + "\n";
      if (bad.has(i + 1)) line.className = "bad";
      return line;
    }));
    text.setAttribute("aria-invalid", bad.size > 0);
    numbers.scrollTop = text.scrollTop;
  };
  const place = () => {
    const before = text.value.slice(0, text.selectionStart).split("\n");
    const line = before.length, column = [...before[line - 1]].length + 1;
    if (form.line.value === String(line) && form.column.value === String(column)) return;
    form.line.value = line;
    form.column.value = column;
    const at = document.getElementById("at");
    if (at) at.dispatchEvent(new CustomEvent("caret"));
  };
  const go = (line, column) => {
    const lines = text.value.split("\n");
    let at = 0;
    for (let i = 0; i < line - 1 && i < lines.length; i++) at += lines[i].length + 1;
    at += Math.max(0, column - 1);
    text.focus();
    text.setSelectionRange(at, at);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
    place();
  };

  text.addEventListener("input", number);
  text.addEventListener("scroll", () => { numbers.scrollTop = text.scrollTop; });
  for (const e of ["keyup", "click", "focus"]) text.addEventListener(e, place);
  if (checked) new MutationObserver(number).observe(checked, { childList: true, subtree: true });
  document.addEventListener("click", (e) => {
    const link = e.target.closest("a[data-line]");
    if (link) {
      e.preventDefault();
      go(Number(link.dataset.line), Number(link.dataset.column));
    }
    const hold = e.target.closest("[data-hold]");
    if (hold) document.getElementById("hold").value = hold.dataset.hold;
  });
  number();
})();
