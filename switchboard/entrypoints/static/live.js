// Live regions: refetched when the server's stream names what they show, or announced by a bar when the reader has
// scrolled. The stream is closed while the page is hidden, for a browser opens few connections to one server.
export function start({ $, $$, app, make, typing }) {
  let stream = null;
  let isLost = false;
  const waiting = new Map();
  const timers = new Map();
  const named = () => new Set($$("[data-live]").flatMap((region) => region.dataset.live.split(/\s+/).filter(Boolean)));
  const scroller = (element) => element.closest(".split-list, .pane, .split-item, .page") ?? document.scrollingElement;
  const isBusy = (region) => region.contains(document.activeElement) && typing(document.activeElement);
  const isScrolled = (region) => !region.matches("[data-scroll-end]") && scroller(region).scrollTop > 40;

  function heard(name, data) {
    document.dispatchEvent(new CustomEvent(`live:${name}`, { detail: data }));
    for (const region of $$(`[data-live~="${CSS.escape(name)}"]`)) {
      waiting.set(region.id, (waiting.get(region.id) ?? 0) + 1);
      clearTimeout(timers.get(region.id));
      timers.set(region.id, setTimeout(() => update(region.id), 250));
    }
  }
  function update(id) {
    const region = document.getElementById(id);
    if (!region) return;
    if (isBusy(region) || isScrolled(region)) showBar(region);
    else refresh(region);
  }
  function showBar(region) {
    const box = scroller(region);
    const number = waiting.get(region.id) ?? 1;
    const noun = region.dataset.liveNoun ?? "";
    $(".newbar", box)?.remove();
    const bar = make("div", "newbar");
    const button = make("button", "", `${number} new ${noun}${noun && number > 1 ? "s" : ""}`.trim());
    button.type = "button";
    button.addEventListener("click", () => {
      bar.remove();
      box.scrollTop = 0;
      refresh(region);
    });
    bar.append(button);
    region.before(bar);
  }
  async function refresh(region) {
    waiting.delete(region.id);
    const source = region.dataset.liveSrc;
    try {
      const response = await fetch(source ?? location.href, { headers: source ? { "HX-Request": "true" } : {}, signal: AbortSignal.timeout(20000) });
      if (!response.ok || response.redirected) return;
      const text = await response.text();
      if (!region.isConnected || isBusy(region)) return;
      const select = source ? undefined : `#${CSS.escape(region.id)}`;
      await window.htmx.swap({ text, select, target: region, sourceElement: region, swap: `${source ? "innerMorph" : "outerMorph"} ignoreTitle:true` });
    } catch (error) {
      // The next event asks again.
      if (!["TypeError", "TimeoutError"].includes(error.name)) throw error;
    }
  }
  function open() {
    const names = named();
    if (stream?.names === [...names].join(" ") || document.hidden) return;
    close();
    if (!names.size || !app()?.dataset.liveUrl) return;
    stream = new EventSource(app().dataset.liveUrl);
    stream.names = [...names].join(" ");
    stream.addEventListener("open", () => {
      document.dispatchEvent(new CustomEvent("live:open"));
      if (isLost) catchUp();
      isLost = false;
    });
    stream.addEventListener("error", lose);
    for (const name of names) stream.addEventListener(name, (event) => heard(name, event.data));
  }
  function close() {
    stream?.close();
    stream = null;
  }
  // After a refusal the browser does not connect again by itself.
  function lose() {
    isLost = true;
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    setTimeout(open, 10000);
  }
  // What was missed is not told again.
  function catchUp() {
    $$("[data-live]").filter((region) => !isBusy(region) && !isScrolled(region)).forEach(refresh);
  }
  document.addEventListener("refresh", () => $$("[data-live]").forEach(refresh));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
    catchUp();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
  return { open };
}
