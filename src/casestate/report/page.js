"use strict";
// Draws the charts of the page. Their colours are the style sheet's, so that it has the say in the dark too.
const figures = JSON.parse(document.getElementById("figures").textContent);
const options = { displayModeBar: false, responsive: true, typesetMath: false, doubleClick: false };
const charts = Array.from(document.querySelectorAll(".chart"));
for (const chart of charts) {
  Plotly.newPlot(chart, figures[chart.id].data, figures[chart.id].layout, options);
}
// Who goes by keyboard stops at what can be scrolled, and nowhere else.
const stops = new ResizeObserver((seen) => {
  for (const { target } of seen) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});
for (const each of document.querySelectorAll(".scroll")) stops.observe(each);
// On paper everything is open, and as wide as a sheet.
const folded = Array.from(document.querySelectorAll("details"));
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = folded.filter((each) => !each.open);
  for (const each of opened) each.open = true;
  for (const chart of charts) Plotly.relayout(chart, { autosize: false, width: 660 });
});
window.addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
  for (const chart of charts) Plotly.relayout(chart, { autosize: true, width: null });
});
