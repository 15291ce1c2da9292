// The editor of a flow: numbers beside the lines, marks on those that have a problem, and who stands at a step.
const SHOW_AFTER = 250;

export function start({ $, $$, make }) {
  let timer = 0;
  let shown = null;

  // The lines lie below the text in the same letters and the same width, so that they wrap where it wraps.
  function drawLines() {
    const lines = $("[data-editor-lines]");
    const text = $("[data-editor]");
    if (!lines || !text) return;
    const problems = new Map($$("[data-problem-line]").map((problem) => [Number(problem.dataset.problemLine), problem.textContent.trim()]));
    lines.replaceChildren(...text.value.split("\n").map((line, index) => make("div", problems.has(index + 1) ? "bad" : "", line || " ")));
    lines.scrollTop = text.scrollTop;
  }
  function hide() {
    clearTimeout(timer);
    shown?.remove();
    shown = null;
  }
  async function show(box) {
    const pane = box.closest(".editor-view");
    let html;
    try {
      const response = await fetch(box.dataset.people, { headers: { "HX-Request": "true" }, signal: AbortSignal.timeout(5000) });
      if (!response.ok || response.redirected) return;
      html = await response.text();
    } catch {
      // A hint that does not come is not missed: a click shows the same people.
      return;
    }
    if (!box.matches(":hover, :focus-visible")) return;
    hide();
    shown = make("div", "step-people");
    shown.setAttribute("role", "status");
    pane.append(shown);
    await window.htmx.swap({ text: html, target: shown, sourceElement: shown, swap: "innerMorph" });
    if (!shown) return;
    const [at, frame] = [box.getBoundingClientRect(), pane.getBoundingClientRect()];
    shown.style.top = `${at.bottom - frame.top + pane.scrollTop + 4}px`;
    shown.style.left = `${Math.max(8, Math.min(at.left - frame.left + pane.scrollLeft, pane.clientWidth - shown.offsetWidth - 8))}px`;
  }
  function point(event) {
    const box = event.target.closest?.("[data-people]");
    if (!box || box.contains(event.relatedTarget)) return;
    clearTimeout(timer);
    timer = setTimeout(() => show(box), SHOW_AFTER);
  }
  function leave(event) {
    const box = event.target.closest?.("[data-people]");
    if (box && !box.contains(event.relatedTarget)) hide();
  }
  document.addEventListener("mouseover", point);
  document.addEventListener("focusin", point);
  document.addEventListener("mouseout", leave);
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("input", (event) => event.target.matches("[data-editor]") && drawLines());
  document.addEventListener("htmx:after:swap", () => { drawLines(); if (shown && !shown.isConnected) shown = null; });
  // A text area's scrolling does not rise to the document, so it is caught on the way down.
  document.addEventListener("scroll", (event) => {
    const lines = $("[data-editor-lines]");
    if (lines && event.target.matches?.("[data-editor]")) lines.scrollTop = event.target.scrollTop;
  }, true);
  drawLines();
  return { drawLines };
}
