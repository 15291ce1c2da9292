// The palette: what this page can do is matched here, letters in order with gaps; people and leads are asked of the server.
export function start({ $, $$, app, icon, make }) {
  let commands = [];
  let asked = null;
  const input = () => $("#palette input");
  const options = () => $$("#palette-list [role=option]");
  const label = (element) => {
    const copy = ($(".rail-label", element) ?? element).cloneNode(true);
    $$("kbd, .keys", copy).forEach((key) => key.remove());
    return (element.getAttribute("aria-label") ?? copy.textContent).replace(/\s+/g, " ").trim();
  };
  function score(title, query) {
    const text = title.toLowerCase();
    let [at, points] = [-1, 1];
    for (const letter of query.toLowerCase().replaceAll(" ", "")) {
      const found = text.indexOf(letter, at + 1);
      if (found < 0) return 0;
      points += found === at + 1 ? 3 : text[found - 1] === " " ? 2 : 1 / (found - at);
      at = found;
    }
    return points;
  }
  function collect() {
    const found = new Map();
    for (const element of $$("a[data-key], button[data-key], [data-command]")) {
      const title = element.dataset.command || label(element);
      if (!title || found.has(title) || element.closest("[data-row], dialog") || element.dataset.dialog === "palette") continue;
      const isPlace = element.matches(".rail-link");
      found.set(title, { title, key: element.dataset.key, icon: isPlace ? "arrow-right" : "zap", group: isPlace ? "Go to" : "Do", act: () => element.click() });
    }
    return [...found.values()];
  }
  function go(url) {
    const link = Object.assign(make("a"), { href: url });
    app().append(link);
    window.htmx?.process(link);
    link.click();
    link.remove();
  }
  async function suggest(query) {
    const local = commands.map((command) => ({ ...command, points: query ? score(command.title, query) : 1 }))
      .filter(({ points }) => points > 0).sort((a, b) => b.points - a.points).slice(0, query ? 6 : 14);
    show(local, query);
    asked?.abort();
    if (query.trim().length < 2) return;
    asked = new AbortController();
    const { signal } = asked;
    await new Promise((resolve) => setTimeout(resolve, 120));
    if (signal.aborted) return;
    try {
      const response = await fetch(`${$("#palette").dataset.palette}?q=${encodeURIComponent(query)}`, { signal, headers: { Accept: "application/json" } });
      if (!response.ok) return;
      const { results } = await response.json();
      show([...results.map((result) => ({ ...result, act: () => go(result.url) })), ...local], query);
    } catch (error) {
      // A newer query took over, or there was no answer: what this page can do is still listed.
      if (!["AbortError", "TypeError"].includes(error.name)) throw error;
    }
  }
  function row(result, place) {
    const option = make("div", "palette-option");
    option.id = `palette-${place}`;
    option.setAttribute("role", "option");
    const end = make("span", result.key ? "keys" : "palette-group", result.key ? undefined : result.group ?? "");
    end.append(...(result.key ?? "").split(" ").filter(Boolean).map((key) => make("kbd", "", key)));
    option.append(icon(result.icon ?? "arrow-right"), make("span", "palette-title", result.title), make("span", "palette-detail", result.detail ?? ""), end);
    option.act = result.act;
    return option;
  }
  function show(results, query) {
    $("#palette-list").replaceChildren(...results.map(row));
    $("#palette-list").hidden = !results.length;
    $("#palette-none").textContent = results.length ? "" : `Nothing matches “${query}”.`;
    choose(0);
  }
  function choose(place) {
    const all = options();
    const chosen = all[(place + all.length) % all.length];
    all.forEach((option) => option.setAttribute("aria-selected", String(option === chosen)));
    input().setAttribute("aria-activedescendant", chosen?.id ?? "");
    chosen?.scrollIntoView({ block: "nearest" });
  }
  function run(option) {
    $("#palette").close();
    option?.act();
  }
  function key(event) {
    const place = options().findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") choose(place + 1);
    else if (event.key === "ArrowUp") choose(place - 1);
    else if (event.key === "Enter") run(options()[place]);
    else return;
    event.preventDefault();
  }
  document.addEventListener("input", (event) => { if (event.target === input()) suggest(event.target.value); });
  document.addEventListener("keydown", (event) => { if (event.target === input()) key(event); });
  document.addEventListener("click", (event) => {
    const option = event.target.closest("#palette [role=option]");
    if (option) run(option);
  });
  return { open() { commands = collect(); suggest(input().value); } };
}
