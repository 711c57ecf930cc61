// News: parts of a page that say data-live="TOPIC" ask for themselves again when there is some.
// A part with data-live-rows does not move what is looked at: it announces how many rows are new,
// and shows them when asked to. Parts with data-refresh="SECONDS" ask again by the clock.
"use strict";
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const parts = (topic) => all("[data-live]").filter((e) => idOf(e) && e.dataset.live.split(" ").includes(topic));
  const idOf = (e) => e.getAttribute("id"); // a form with a field named id has no id of its own
  const known = new Map();
  const busy = new Set(), again = new Set();
  const rowKey = (row) => { const a = row.querySelector("a[data-open]"); return a ? a.getAttribute("href") : row.id; };
  const say = (text) => { const s = document.querySelector("#said"); if (s) { s.textContent = text; setTimeout(() => { if (s.textContent === text) s.textContent = ""; }, 6000); } };

  // fresh asks for the page again and returns the part of it with the same id.
  const fresh = async (part) => {
    const answer = await fetch(part.dataset.from || location.href, { headers: { "HX-Request": "true", "HX-Request-Type": "partial", "X-Postern-Background": "1" }, credentials: "same-origin" });
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(idOf(part));
  };

  const show = (part, next) => {
    const box = document.importNode(next, true);
    part.replaceWith(box);
    if (window.htmx) window.htmx.process(box);
    document.dispatchEvent(new CustomEvent("postern:part", { detail: box }));
    return box;
  };

  const put = (row, other) => { // what became of a row that is there, without taking focus or choice away
    if (row.contains(document.activeElement) || row.innerHTML === other.innerHTML) return;
    const box = row.querySelector("input[type=checkbox]"), was = box && box.checked;
    row.innerHTML = other.innerHTML;
    const now = row.querySelector("input[type=checkbox]");
    if (now) now.checked = was;
  };

  const rows = (part, next) => {
    const have = new Map(all("[data-row]", part).map((r) => [rowKey(r), r]));
    const come = all("[data-row]", next).filter((r) => !have.has(rowKey(r)));
    all("[data-row]", next).forEach((r) => { const own = have.get(rowKey(r)); if (own) put(own, r); });
    const old = part.querySelector(":scope > .news");
    if (!come.length) { if (old) old.remove(); return; }
    const text = (part.dataset.liveNew || "{n}").replace("{n}", come.length);
    if (old && old.textContent === text) return;
    const bar = old || document.createElement("button");
    bar.type = "button";
    bar.className = "news";
    bar.dataset.key = ".";
    bar.textContent = text;
    bar.onclick = async () => {
      const newest = await fresh(part);
      if (!newest) return;
      const picked = new Set(all("[data-row] input[type=checkbox]:checked", part).map((b) => b.value));
      const box = show(part, newest);
      all("[data-row] input[type=checkbox]", box).forEach((b) => { if (picked.has(b.value)) b.checked = true; });
      const link = box.querySelector("a[data-open]");
      if (link) link.focus();
    };
    if (!old) part.prepend(bar);
    say(text);
  };

  const renew = async (part) => {
    if (!part.isConnected) return;
    if (busy.has(idOf(part))) { again.add(idOf(part)); return; }
    busy.add(idOf(part));
    try {
      const next = await fresh(part);
      if (next && part.isConnected) {
        if ("liveRows" in part.dataset) rows(part, next);
        else if (!part.contains(document.activeElement)) show(part, next);
      }
    } catch { /* the next news brings it */ }
    setTimeout(() => {
      busy.delete(idOf(part));
      const now = document.getElementById(idOf(part));
      if (again.delete(idOf(part)) && now) renew(now);
    }, 3000);
  };

  const waiting = new Set();
  const hear = (marks) => {
    document.documentElement.dataset.heard = "";
    for (const [topic, mark] of Object.entries(marks)) {
      const before = known.get(topic);
      known.set(topic, mark);
      if (before === undefined || before === mark) continue;
      if (document.hidden) waiting.add(topic); else parts(topic).forEach(renew);
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    waiting.forEach((topic) => parts(topic).forEach(renew));
    waiting.clear();
  });

  // One page of the browser holds the stream, and tells the others.
  const over = () => { const e = document.querySelector("[data-over]"); say(e ? e.dataset.over : ""); };
  const listen = () => new Promise((end) => {
    const stream = new EventSource("/live"), others = window.BroadcastChannel ? new BroadcastChannel("postern") : null;
    stream.addEventListener("marks", (e) => { const marks = JSON.parse(e.data); hear(marks); if (others) others.postMessage(marks); });
    stream.addEventListener("over", () => { stream.close(); over(); end(); });
    stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) end(); };
    if (others) others.onmessage = (e) => { if (e.data === "where") others.postMessage(Object.fromEntries(known)); };
  });
  const start = () => {
    if (!navigator.locks || !window.BroadcastChannel) { listen(); return; }
    const others = new BroadcastChannel("postern");
    others.onmessage = (e) => { if (typeof e.data === "object") hear(e.data); };
    others.postMessage("where");
    navigator.locks.request("postern-live", listen);
  };
  if (window.EventSource && document.querySelector("header nav") && document.querySelector("[data-live]")) start();

  const tick = () => {
    const part = document.querySelector("[data-refresh]");
    if (!part || !idOf(part)) return;
    setTimeout(async () => {
      if (!document.hidden) try {
        const next = await fresh(part);
        if (next) show(part, next);
      } catch { /* once more below */ }
      tick();
    }, 1000 * Number(part.dataset.refresh));
  };
  tick();
})();
