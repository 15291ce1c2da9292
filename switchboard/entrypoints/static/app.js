/* Switchboard in the browser: keys, lists, toasts, times and dialogs. board.js, live.js and palette.js are fetched when
   a page needs them. Pages work without any of it. Everything is delegated from the document, so swapped content needs no set-up.

   data-key="e" | "g l" | "ctrl+k"  this link, button or field is what the key does. The current row is asked first, then
                                    the open item ([data-item]), then the page. Plain letters are off while typing.
   data-list="item"   a list; the value names the pane its rows open in (shows that pane's skeletons after 400 ms)
   data-row, id       one row (tr, li or card); data-open on its main link; data-select on its checkbox
   data-bulk-count, data-clear      the number of selected rows; the button that clears the selection
   data-item          the open item; data-close on the link that closes it (Escape follows it)
   data-search        what "/" focuses
   data-dialog="id"   opens that dialog (a link keeps its href for pages without script); data-dialog-close closes it
   data-copy="text", data-copy-from="#id"       copies the text, or that element's text or value
   data-relative[="ago"] on time    kept relative, exact on hover; data-deadline="120" counts down, warns 120 s before
   data-live="lead message"         region (needs an id) refetched when one of these events comes from /live;
                                    data-live-src: its address, else this page; data-live-noun: "lead" for "3 new leads"
   data-board, data-stage="key", data-card, data-move="/leads/1/stage"   board, column, card and where a move is posted;
                                    data-cards: where a column keeps them; data-count: their number
   data-scroll-key    when its value changes over a swap, the element is scrolled back to its start
   data-scroll-end    is scrolled to its end instead (a conversation)
   data-toast         a toast rendered by the server
   Events taken: "toast" {text, kind, undo} and "refresh" (both by HX-Trigger). Events sent: "live:open", "live:NAME". */

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const app = () => $("#app");
const version = app()?.dataset.version;
const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
};
const icon = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  svg.firstChild.setAttribute("href", `/static/icons.svg#${name}`);
  return svg;
};
const loaded = {};
const load = (name) => (loaded[name] ??= import(`./${name}.js${new URL(import.meta.url).search}`).then((module) => module.start(tools)));
const announce = (text) => { const region = $("#announce"); if (region) region.textContent = text; };
const visible = (element) => element.checkVisibility?.() ?? element.offsetParent !== null;

/* Toasts: ten seconds each, paused while pointed at or focused. */
const KINDS = { ok: "circle-check", bad: "circle-x", wait: "triangle-alert" };
function toast({ text, kind = "ok", undo }) {
  const box = make("div", `toast ${kind}`);
  box.append(icon(KINDS[kind] ?? "info"), make("span", "toast-text", text));
  if (undo) {
    const form = make("form", "inline");
    Object.assign(form, { method: "post", action: undo });
    form.setAttribute("hx-replace-url", "true");
    const token = Object.assign(make("input"), { type: "hidden", name: "csrf_token", value: app()?.dataset.csrf ?? "" });
    form.append(token, make("button", "button small", "Undo"));
    box.append(form, make("span", "toast-bar"));
  }
  $("#toasts").append(box);
  window.htmx?.process(box);
  raiseToasts();
  expire(box);
}
function raiseToasts() {
  const region = $("#toasts");
  while (region?.children.length > 3) region.firstChild.remove();
  if (!region?.showPopover || !region.children.length) return;
  // Shown anew, so that it lies above a dialog that was opened after it.
  if (region.matches(":popover-open")) region.hidePopover();
  region.showPopover();
}
function expire(box) {
  let left = 100;
  const timer = setInterval(() => {
    if (!box.matches(":hover, :focus-within")) left -= 1;
    if (left > 0 && box.isConnected) return;
    clearInterval(timer);
    box.remove();
  }, 100);
}
function adoptToasts() {
  for (const box of $$("#flash [data-toast]")) {
    $("#toasts").append(box);
    window.htmx?.process(box);
    expire(box);
  }
  raiseToasts();
}
document.addEventListener("submit", (event) => {
  const box = event.target.closest(".toast");
  // After the event, for the form must still be in the page while it is sent.
  if (box) setTimeout(() => box.remove());
});
document.addEventListener("toast", (event) => toast(event.detail));

/* Times. */
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
function relative(then, now) {
  const size = Math.abs(now - then) / 1000;
  if (size < 45) return "now";
  if (size >= 604800) return (new Date(then).getFullYear() === new Date(now).getFullYear() ? day : dayYear).format(then);
  const text = size < 3570 ? `${Math.round(size / 60)} min` : size < 84600 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
  return then > now ? `in ${text}` : text;
}
function remaining(seconds) {
  const size = Math.abs(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const text = size < 3600 ? `${Math.floor(size / 60)}:${two(size % 60)}`
    : size < 172800 ? `${Math.floor(size / 3600)} h ${two(Math.floor((size % 3600) / 60))} min` : `${Math.floor(size / 86400)} d`;
  return `${text} ${seconds < 0 ? "over" : "left"}`;
}
const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
function tellTimes(root = document) {
  const now = Date.now();
  for (const element of $$("time[data-relative]", root)) {
    const then = Date.parse(element.dateTime);
    const text = relative(then, now);
    write(element, element.dataset.relative && /(min|h|d)$/.test(text) && then <= now ? `${text} ago` : text);
    element.title = exact.format(then);
  }
}
function countDown() {
  for (const element of $$("time[data-deadline]")) {
    const left = Math.trunc((Date.parse(element.dateTime) - Date.now()) / 1000);
    write(element, remaining(left));
    const box = element.closest("[data-state]");
    const state = left < 0 ? "bad" : left < Number(element.dataset.deadline) ? "wait" : "";
    if (box && box.dataset.state !== state) box.dataset.state = state;
  }
}
setInterval(countDown, 1000);
setInterval(tellTimes, 15000);

/* Lists: one current row, whose main link has the focus. */
let currentId = null;
let lastChecked = null;
const current = () => (currentId && document.getElementById(currentId)) || $("[data-row][aria-current=true]");
const rowsOf = (row) => $$("[data-row]", row?.closest("[data-list], [data-board]") ?? $("[data-list], [data-board]") ?? document).filter(visible);
function setCurrent(row, focus = true) {
  for (const other of $$("[data-row][aria-current=true]")) if (other !== row) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
  currentId = row.id;
  if (!focus) return;
  ($("[data-open]", row) ?? row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}
function move(step) {
  const row = current();
  const rows = rowsOf(row);
  const next = row && visible(row) ? rows[rows.indexOf(row) + step] : rows[0];
  if (next) setCurrent(next);
}
function countSelected() {
  const number = $$("[data-select]:checked").length;
  for (const element of $$("[data-bulk-count]")) write(element, String(number));
}
function check(box, range) {
  const boxes = $$("[data-select]", box.closest("[data-list]") ?? document);
  const from = boxes.indexOf(lastChecked);
  if (range && from >= 0) {
    const [low, high] = [from, boxes.indexOf(box)].sort((a, b) => a - b);
    for (const other of boxes.slice(low, high + 1)) other.checked = box.checked;
  }
  lastChecked = box;
  countSelected();
}
function clearSelection() {
  const boxes = $$("[data-select]:checked");
  for (const box of boxes) box.checked = false;
  countSelected();
  return boxes.length > 0;
}

/* Sending without leaving the page. */
async function post(url, fields) {
  const body = new URLSearchParams({ ...fields, csrf_token: app().dataset.csrf });
  const headers = { Accept: "application/json, text/html", "X-CSRF-Token": app().dataset.csrf };
  try {
    const response = await fetch(url, { method: "POST", body, headers, signal: AbortSignal.timeout(20000) });
    const text = await response.text();
    if (response.ok) takeToasts(text);
    else toast({ text: told(text) ?? refusal(response.status), kind: "bad" });
    return response.ok;
  } catch {
    // No answer or a broken one: the reader is told, and the caller puts things back.
    toast({ text: "No answer from the server. Check your connection and try again.", kind: "bad" });
    return false;
  }
}
// What the server said was wrong: the detail of a JSON problem, or the message of an error page.
function told(text) {
  if (text.startsWith("{")) return JSON.parse(text).detail;
  return $("[data-error]", new DOMParser().parseFromString(text, "text/html"))?.dataset.error;
}
function takeToasts(text) {
  $("#flash").append(...$$("#flash [data-toast]", new DOMParser().parseFromString(text, "text/html")));
  adoptToasts();
}
const refusal = (status) => `The server could not do that (${status}). Reload the page and try again.`;

/* Dialogs. */
function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return false;
  $("#more:popover-open")?.hidePopover();
  // Somebody may be typing before its script has come.
  if (id === "palette") $("input", dialog).value = "";
  dialog.showModal();
  $(".field :is(input, select, textarea)", dialog)?.focus();
  if (id === "palette") load("palette").then((palette) => palette.open());
  return true;
}
function confirmed(text) {
  const dialog = $("#confirm");
  if (!dialog) return Promise.resolve(window.confirm(text));
  $("#confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/* Keys. */
let prefix = "";
let prefixTimer = 0;
const typing = (element) => element.isContentEditable || element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");
function target(key) {
  const selector = `[data-key="${CSS.escape(key)}"]`;
  return [current(), $("[data-item]"), document].flatMap((root) => (root ? $$(selector, root) : []))
    .find((element) => !element.disabled && (element.closest(".rail, .row-actions, details") || visible(element)));
}
function press(key) {
  const element = target(key);
  if (!element) return false;
  if (element.matches("textarea, select, input:not([type=checkbox])")) element.focus();
  else element.click();
  if (element.matches("summary")) $(CHOICES, element.parentElement)?.focus();
  return true;
}
const CHOICES = ".menu-item:not(:disabled)";
function choose(menu, step) {
  const all = $$(CHOICES, menu);
  all.at((all.indexOf(document.activeElement) + step) % all.length)?.focus();
}
const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
const PLAIN = {
  j: () => move(1), k: () => move(-1), ArrowDown: () => current() && move(1), ArrowUp: () => current() && move(-1),
  "/": () => $$("[data-search]").find(visible)?.select(),
  "?": () => openDialog("keys"),
};
function plainKey(event) {
  const { key } = event;
  const row = current();
  if (key.toLowerCase() === "x" && row) {
    const box = $("[data-select]", row);
    if (box) { box.checked = !box.checked; check(box, event.shiftKey); }
    return Boolean(box);
  }
  const menu = document.activeElement?.closest("details.menu[open]");
  if (menu && key in STEPS) { choose(menu, STEPS[key]); return true; }
  if (key.startsWith("Arrow") && !document.activeElement?.closest("[data-row]")) return false;
  if (key === "Enter" && row && document.activeElement === document.body) return Boolean($("[data-open]", row)?.click() ?? true);
  if (press(key)) return true;
  if (row?.matches("[data-card]") && "hl[]".includes(key)) load("board").then((board) => board[key]());
  else PLAIN[key]?.();
  return key in PLAIN;
}
function escape(event) {
  const menu = $("details.menu[open]");
  if (typing(event.target)) event.target.blur();
  else if (menu) { menu.open = false; $("summary", menu).focus(); }
  else if (!clearSelection()) [...$$("[data-close]")].find(visible)?.click();
}
document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "k") { event.preventDefault(); openDialog("palette"); return; }
  if (command && event.key === "Enter" && event.target.form) { event.preventDefault(); event.target.form.requestSubmit(); return; }
  if (command || event.altKey || $("dialog[open]")) return;
  if (event.key === "Escape") { escape(event); return; }
  if (typing(event.target)) return;
  const sequence = prefix && `${prefix} ${event.key}`;
  prefix = "";
  clearTimeout(prefixTimer);
  if (sequence && press(sequence)) { event.preventDefault(); return; }
  if (event.key === "g") { prefix = "g"; prefixTimer = setTimeout(() => { prefix = ""; }, 1200); return; }
  if (plainKey(event)) event.preventDefault();
});

/* Clicks. */
const CLICKS = {
  "[data-copy], [data-copy-from]": async (element) => {
    const from = element.dataset.copyFrom && $(element.dataset.copyFrom);
    try {
      await navigator.clipboard.writeText(from ? from.value ?? from.textContent : element.dataset.copy);
      const use = $("use", element);
      use?.setAttribute("href", "/static/icons.svg#check");
      setTimeout(() => use?.setAttribute("href", "/static/icons.svg#copy"), 1500);
      announce("Copied");
    } catch { toast({ text: "The browser did not allow copying. Select the text and copy it yourself.", kind: "wait" }); }
  },
  "[data-dialog]": (element, event) => { if (openDialog(element.dataset.dialog)) { event.preventDefault(); event.stopImmediatePropagation(); } },
  "[data-dialog-close]": (element) => element.closest("dialog")?.close(),
  "[data-theme-next]": () => setTheme({ light: "dark", dark: "system" }[theme()] ?? "light"),
  "[data-clear]": clearSelection,
  "[data-select]": (element, event) => check(element, event.shiftKey),
};
document.addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(CLICKS)) {
    const element = event.target.closest(selector);
    if (element) act(element, event);
  }
  if (event.target.matches("dialog")) event.target.close();
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target) || event.target.closest(".menu-item")) menu.open = false;
  const row = event.target.closest("[data-row]");
  if (!row || getSelection()?.toString()) return;
  if (event.target.closest("[data-open]")) setCurrent(row, false);
  else if (!event.target.closest("a, button, input, label, select, summary, form")) $("[data-open]", row)?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
}, true);
document.addEventListener("focusin", (event) => {
  const row = event.target.closest("[data-row]");
  if (row && event.target.matches("[data-open]")) setCurrent(row, false);
});

/* Theme: light, dark or what the system says. */
const theme = () => document.documentElement.dataset.theme ?? "system";
function setTheme(name) {
  document.cookie = `theme=${name}; path=/; max-age=31536000; samesite=lax`;
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  nameTheme();
}
const nameTheme = () => $$("[data-theme-name]").forEach((element) => { element.textContent = theme(); });

/* htmx: what holds over every swap. */
const scrollKeys = new Map();
const slow = new WeakMap();
const boosted = (ctx) => Boolean(ctx?.sourceElement?._htmx?.boosted);
document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method !== "GET") ctx.request.headers["X-CSRF-Token"] = app()?.dataset.csrf ?? "";
});
document.addEventListener("htmx:confirm", (event) => {
  event.preventDefault();
  const { ctx, issueRequest, dropRequest } = event.detail;
  confirmed(ctx.confirm).then((yes) => (yes ? issueRequest() : dropRequest()));
});
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const pane = document.getElementById(ctx.sourceElement.closest?.("[data-list]")?.dataset.list);
  if (!pane || !ctx.sourceElement.matches("[data-open]")) return;
  pane.classList.add("busy");
  slow.set(ctx, pane);
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => slow.get(ctx)?.classList.remove("busy"));
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const status = ctx.response?.status ?? 200;
  if (status >= 400 && !(boosted(ctx) && ctx.request.method === "GET")) {
    // A form shown again with its mistakes is swapped in; any other refusal is a toast over the page as it was.
    const reason = told(ctx.text);
    if (reason || status >= 500 || !ctx.text) {
      event.preventDefault();
      if (!ctx.hx?.trigger?.includes("toast")) toast({ text: reason ?? refusal(status), kind: "bad" });
      return;
    }
  }
  if (boosted(ctx)) $$("dialog[open]").forEach((dialog) => dialog.close());
  $$("[data-scroll-key]").forEach((element) => element.id && scrollKeys.set(element.id, element.dataset.scrollKey));
});
document.addEventListener("htmx:after:swap", settle);
document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (ctx) toast({ text: "No answer from the server. Check your connection and try again.", kind: "bad" });
});
function settle(event) {
  if (version && app()?.dataset.version !== version) { location.reload(); return; }
  for (const element of $$("[data-scroll-key]")) {
    if (scrollKeys.get(element.id) === element.dataset.scrollKey) continue;
    scrollKeys.set(element.id, element.dataset.scrollKey);
    element.scrollTop = element.matches("[data-scroll-end]") ? element.scrollHeight : 0;
  }
  if (boosted(event?.detail?.ctx)) {
    $("#more:popover-open")?.hidePopover();
    $$("details.menu[open]").forEach((menu) => { menu.open = false; });
  }
  const row = currentId && document.getElementById(currentId);
  if (row && !$("[data-row][aria-current=true]")) row.setAttribute("aria-current", "true");
  adoptToasts();
  tellTimes();
  countDown();
  countSelected();
  nameTheme();
  if ($("[data-live]")) load("live").then((live) => live.open());
  for (const name of ["board", "order", "editor"]) if ($(`[data-${name}]`)) load(name);
}
const tools = { $, $$, announce, app, current, icon, make, post, setCurrent, typing };
settle();
