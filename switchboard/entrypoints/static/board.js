// The board: a card is dragged, or moved by the square brackets, and goes back where it was if the server refuses.
export function start({ $, $$, announce, current, post, setCurrent }) {
  let dragged = null;
  const unmark = (but) => $$(".board-column.over").forEach((column) => column !== but && column.classList.remove("over"));
  const count = (column, by) => {
    const element = $("[data-count]", column);
    if (element && /^\d+$/.test(element.textContent)) element.textContent = Number(element.textContent) + by;
  };
  async function moveCard(card, column) {
    const from = card.closest("[data-stage]");
    if (!column || column === from) return;
    const [parent, next] = [card.parentElement, card.nextSibling];
    $("[data-cards]", column).prepend(card);
    setCurrent(card);
    count(from, -1);
    count(column, 1);
    announce(`Moved to ${column.getAttribute("aria-label") ?? column.dataset.stage}`);
    if (await post(card.dataset.move, { stage: column.dataset.stage })) return;
    parent.insertBefore(card, next);
    count(from, 1);
    count(column, -1);
  }
  const columnsOf = (card) => $$("[data-stage]", card.closest("[data-board]"));
  const beside = (card, step) => {
    const columns = columnsOf(card);
    return columns[columns.indexOf(card.closest("[data-stage]")) + step];
  };
  function stepColumn(step) {
    const card = current();
    const columns = columnsOf(card);
    let column = card.closest("[data-stage]");
    const place = $$("[data-card]", column).indexOf(card);
    do column = columns[columns.indexOf(column) + step]; while (column && !$("[data-card]", column));
    const cards = column ? $$("[data-card]", column) : [];
    if (cards.length) setCurrent(cards[Math.min(place, cards.length - 1)]);
  }
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-card]");
    dragged?.classList.add("dragging");
    event.dataTransfer?.setData("text/plain", dragged?.id ?? "");
  });
  document.addEventListener("dragend", () => {
    dragged?.classList.remove("dragging");
    unmark();
    dragged = null;
  });
  document.addEventListener("dragover", (event) => {
    const column = dragged && event.target.closest("[data-stage]");
    unmark(column);
    if (!column) return;
    event.preventDefault();
    column.classList.add("over");
  });
  document.addEventListener("drop", (event) => {
    const column = dragged && event.target.closest("[data-stage]");
    if (!column) return;
    event.preventDefault();
    moveCard(dragged, column);
  });
  return {
    h: () => stepColumn(-1),
    l: () => stepColumn(1),
    "[": () => moveCard(current(), beside(current(), -1)),
    "]": () => moveCard(current(), beside(current(), 1)),
  };
}
