// Plots: what data-plot says, drawn. The table below each says the same.
"use strict";
(() => {
  const light = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#333333", "#56b4e9", "#7a3e9d"];
  const dark = ["#56b4e9", "#ff9b54", "#4fd1a5", "#e8a6cc", "#f0e442", "#dddddd", "#9ecbff", "#c9a0f0"];
  const dashes = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2], [14, 4], [4, 8]]; // no colour alone
  const lang = document.documentElement.lang;
  const number = new Intl.NumberFormat(lang, { maximumSignificantDigits: 3, notation: "compact" });
  const whole = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  const drawn = new Map();

  const draw = (box) => {
    if (drawn.has(box)) return;
    const p = JSON.parse(box.dataset.plot), css = getComputedStyle(document.documentElement);
    const ink = css.getPropertyValue("--soft").trim(), line = css.getPropertyValue("--line").trim();
    const colours = parseInt(css.getPropertyValue("--paper").trim().slice(1, 3), 16) < 128 ? dark : light;
    const has = p.lines.filter((l) => l.values.some((v) => v !== null && v !== 0));
    const lines = has.length ? has : p.lines;
    const day = p.at.length > 1 && p.at[p.at.length - 1] - p.at[0] > 86400 * 1.5;
    const clock = new Intl.DateTimeFormat(lang, day ? { month: "numeric", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
    const moment = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" });
    const font = "12px " + getComputedStyle(document.body).fontFamily;
    const size = () => ({ width: Math.max(260, box.clientWidth), height: 200 });
    const log = p.log && lines.every((l) => l.values.every((v) => v === null || v >= 0));
    const plot = new uPlot({
      ...size(), cursor: { sync: { key: "figures" }, drag: { x: true, y: false } },
      scales: { x: { time: true }, y: log ? { distr: 3, log: 10 } : { range: (u, lo, hi) => [0, hi > 0 ? hi * 1.08 : 1] } },
      axes: [
        { stroke: ink, font, space: 78, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, values: (u, at) => at.map((t) => clock.format(t * 1000)) },
        { stroke: ink, font, size: 62, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, label: p.unit, labelFont: font, labelSize: 18, values: (u, all) => all.map((v) => v === null ? "" : number.format(v)) },
      ],
      series: [
        { label: p.time, value: (u, t) => t === null ? "" : moment.format(t * 1000) },
        ...lines.map((l, i) => ({ label: l.name, stroke: colours[i % 8], width: 2, dash: dashes[i % 8], spanGaps: false, points: { show: p.at.length <= 60, size: 4 }, value: (u, v) => v === null ? "–" : whole.format(v) })),
      ],
    }, [p.at, ...lines.map((l) => log ? l.values.map((v) => v === null ? null : Math.max(v, 1)) : l.values)], box);
    drawn.set(box, plot);
    new ResizeObserver(() => plot.setSize(size())).observe(box);
  };
  const all = () => { for (const box of drawn.keys()) if (!box.isConnected) { drawn.get(box).destroy(); drawn.delete(box); } document.querySelectorAll("[data-plot]").forEach(draw); };
  const anew = () => { for (const [box, plot] of drawn) { plot.destroy(); drawn.delete(box); } all(); };
  document.addEventListener("postern:part", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  all();
})();
