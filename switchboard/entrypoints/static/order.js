// A list whose rows are dragged into another order; the square brackets of its buttons do the same.
export function start({ $, $$, announce, post }) {
  let dragged = null;
  let next = null;
  let from = -1;
  const rows = (list) => $$("[data-place]", list);
  const list = (element) => element.closest("[data-order]");

  function moveOver(row, clientY) {
    const box = row.getBoundingClientRect();
    if (clientY < box.top + box.height / 2) row.before(dragged);
    else row.after(dragged);
  }
  async function save(row, from) {
    const places = rows(list(row)).indexOf(row) - from;
    if (!places) return;
    announce(`Moved to place ${from + places + 1}`);
    if (await post(row.dataset.place, { places })) return;
    (next ? next.before(row) : list(row).append(row));
  }
  document.addEventListener("dragstart", (event) => {
    const row = event.target.closest?.("[data-place]");
    if (!row) return;
    [dragged, next, from] = [row, row.nextElementSibling, rows(list(row)).indexOf(row)];
    row.classList.add("dragging");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", row.id);
  });
  document.addEventListener("dragover", (event) => {
    const row = dragged && event.target.closest?.("[data-place]");
    if (!dragged || !event.target.closest?.("[data-order]")) return;
    event.preventDefault();
    if (row && row !== dragged && list(row) === list(dragged)) moveOver(row, event.clientY);
  });
  document.addEventListener("drop", (event) => dragged && event.preventDefault());
  document.addEventListener("dragend", (event) => {
    if (!dragged) return;
    const row = dragged;
    dragged = null;
    row.classList.remove("dragging");
    // Escape, or letting go outside of the list, leaves everything as it was.
    if (event.dataTransfer.dropEffect === "none") (next ? next.before(row) : list(row).append(row));
    else save(row, from);
  });
  return {};
}
