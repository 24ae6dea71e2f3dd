// The panel "Try it" ends above the save bar, wherever the page is scrolled to: nothing in it is covered, and what has
// no room scrolls inside.

const GAP = 12;
const LEAST = 240;

export function fitPanel(panel, bar) {
  const fit = () => {
    panel.style.maxHeight = "";
    if (getComputedStyle(panel).position !== "sticky") return;
    const room = bar.getBoundingClientRect().top - panel.getBoundingClientRect().top - GAP;
    panel.style.maxHeight = `${Math.max(LEAST, room)}px`;
  };
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(fit);
  };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  new ResizeObserver(soon).observe(bar);
  fit();
}
