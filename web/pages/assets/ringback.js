// Ringback's pages: what makes them live and handy. Without it they still show and do everything.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  if (document.body.dataset.at) history.replaceState(null, "", document.body.dataset.at); // a form's answer
  const skew = Date.now() - Number(document.body.dataset.now || Date.now()); // of this browser's clock

  // Times: the server writes UTC; here they are local, or how long ago.
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  function length(seconds) {
    for (const [size, unit] of units) {
      if (seconds >= size) return Math.floor(seconds / size) + " " + unit;
    }
    return "0 s";
  }
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  function tell(time) {
    const at = new Date(time.dateTime), now = Date.now() - skew, seconds = (now - at) / 1000;
    let text;
    switch (time.dataset.time) {
      case "age":
        text = seconds < 5 ? "just now" : seconds < 0 ? "in " + length(-seconds) : length(seconds) + (time.closest("td") ? "" : " ago");
        break;
      case "until":
        text = seconds >= 0 ? "now" : "in " + length(Math.ceil(-seconds));
        break;
      default:
        text = (at.toDateString() === new Date(now).toDateString() ? "" : day.format(at) + " ") + clock.format(at);
    }
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.told) {
      time.dataset.told = "1";
      time.title = full.format(at) + " (" + time.title + ")";
    }
  }
  const tellAll = (root = document) => $$("time[data-time]", root).forEach(tell);
  setInterval(tellAll, 1000);

  // Charts: uPlot in the place of the server's drawing.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function colour(element, className) {
    const probe = document.createElement("span");
    probe.className = "ink " + (className || "");
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }
  function amount(value, unit) {
    if (value == null) return "–";
    const v = Math.abs(value);
    if (unit === "ms") return v === 0 ? "0" : v < 1000 ? Math.round(v) + " ms" : v < 60000 ? +(v / 1000).toPrecision(2) + " s" : Math.round(v / 60000) + " min";
    if (v >= 1e6) return +(v / 1e6).toPrecision(3) + "M";
    if (v >= 1e4) return +(v / 1e3).toPrecision(3) + "k";
    return String(+v.toPrecision(4));
  }
  const charts = new Map(); // by the element that holds one
  const style = (spec) => JSON.stringify([spec.unit, spec.steps, spec.lines.map((l) => [l.name, l.kind, l.tone])]);
  function build(holder, spec) {
    const line = colour(holder, "line-ink"), text = colour(holder, "text-ink");
    const font = "11px " + getComputedStyle(document.body).fontFamily;
    const height = spec.tall ? 252 : 164, alpha = (c, a) => c.replace(/^rgba?\(([^)]+)\)$/, (_, v) => `rgba(${v.split(",").slice(0, 3).join(",")},${a})`);
    const series = [{}];
    for (const l of spec.lines) {
      const ink = colour(holder, l.tone || "run");
      const s = { label: l.name, stroke: ink, width: l.kind === "thin" ? 1 : 1.75, points: { show: l.kind === "points", size: 7, fill: ink }, spanGaps: true, value: (_, v) => amount(v, spec.unit) };
      if (l.kind === "thin") s.alpha = 0.5;
      if (l.kind === "dash") s.dash = [4, 4];
      if (l.kind === "points") s.dash = [4, 4];
      if (l.kind === "area") s.fill = alpha(ink, 0.1);
      if (l.kind === "bars") Object.assign(s, { paths: uPlot.paths.bars({ size: [0.76, 40], align: 1 }), fill: ink, width: 0 });
      series.push(s);
    }
    const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const options = {
      width: holder.clientWidth || 300, height, series, padding: [8, 18, 0, 0], legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: !spec.steps }, y: { range: () => { const now = charts.get(holder); return [now ? now.spec.bottom : spec.bottom, now ? now.spec.top : spec.top]; } } },
      axes: [
        { ...axis, grid: { show: false }, size: 22, gap: 4, space: 64, ...(spec.steps ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5] } : { values: (_, at) => at.map((t) => { const d = new Date(t * 1000); return spec.x[spec.x.length - 1] - spec.x[0] > 259200 ? day.format(d) : clock.format(d).slice(0, spec.x[spec.x.length - 1] - spec.x[0] < 300 ? 8 : 5); }) }) },
        { ...axis, size: 46, gap: 6, splits: () => { const s = (charts.get(holder) || { spec }).spec; return s.bottom < 0 ? [s.bottom, 0, s.top] : [0, s.top / 2, s.top]; }, values: (_, at) => at.map((v) => amount(v, spec.unit)) },
      ],
      hooks: {
        setCursor: [(u) => {
          const i = u.cursor.idx;
          tip.hidden = i == null || u.cursor.left < 0;
          if (tip.hidden) return;
          const at = u.data[0][i];
          tip.textContent = (spec.steps ? "step " + at : (u.data[0].at(-1) - u.data[0][0] > 259200 ? day.format(new Date(at * 1000)) + " " : "") + clock.format(new Date(at * 1000)).slice(0, 5)) +
            spec.lines.map((l, n) => u.data[n + 1][i] == null ? "" : "  " + l.name + " " + amount(u.data[n + 1][i], spec.unit)).join("");
          tip.classList.toggle("left", u.cursor.left > u.over.clientWidth / 2);
        }],
      },
    };
    const figure = document.createElement("figure");
    figure.className = "chart";
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", spec.label);
    holder.replaceChildren(figure);
    const chart = new uPlot(options, [spec.x, ...spec.lines.map((l) => l.values)], figure);
    figure.append(tip);
    charts.set(holder, { chart, spec, style: style(spec) });
  }
  function draw(holder) {
    if (!window.uPlot || !holder.isConnected) return;
    try { build(holder, JSON.parse(holder.dataset.plot)); } catch (e) { console.warn("a chart could not be drawn", e); }
  }
  function forget() {
    for (const [holder, { chart }] of charts) if (!holder.isConnected) { chart.destroy(); charts.delete(holder); }
  }
  const redraw = () => $$("[data-plot]").forEach((h) => { const c = charts.get(h); if (c) c.chart.destroy(); charts.delete(h); draw(h); });
  dark.addEventListener("change", redraw);
  let resizing;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { for (const [holder, c] of charts) c.chart.setSize({ width: holder.clientWidth, height: c.chart.height }); }, 100); });

  function ready(root) {
    tellAll(root);
    $$("[data-plot]", root).forEach(draw);
    forget();
  }

  // Live: the page's own address, as a stream of its parts that have changed.
  const held = new Map(); // what waits while a reader points at, or has chosen in, its place
  function busy(place) {
    return place.matches("[data-steady]") && (place.matches(":hover") || place.contains(document.activeElement) && document.activeElement.matches(":focus-visible") || $("input:checked", place));
  }
  const was = new WeakMap(); // what each place was given last, as the browser writes it
  $$("[data-live]").forEach((place) => was.set(place, place.innerHTML));
  function put(place, html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    if (was.get(place) === fresh.innerHTML) return;
    was.set(place, fresh.innerHTML);
    const now = $("[data-plot]", place), next = $("[data-plot]", fresh.content);
    const chart = now && charts.get(now);
    if (chart && next && place.childElementCount === 1) {
      const spec = JSON.parse(next.dataset.plot);
      if (style(spec) === chart.style) {
        chart.spec = spec;
        chart.chart.setData([spec.x, ...spec.lines.map((l) => l.values)]);
        return;
      }
    }
    const open = $$("details[open][id]", place).map((d) => d.id);
    place.replaceChildren(fresh.content);
    open.forEach((id) => { const d = document.getElementById(id); if (d) d.open = true; });
    if (window.htmx) htmx.process(place);
    ready(place);
  }
  function take({ name, html }) {
    for (const place of $$("[data-live]")) {
      if (place.dataset.live !== name) continue;
      if (busy(place)) { held.set(place, html); continue; }
      held.delete(place);
      put(place, html);
    }
  }
  setInterval(() => { for (const [place, html] of held) if (!busy(place)) { held.delete(place); put(place, html); } }, 500);

  const state = $("#connection");
  function connection(tone, text) {
    if (!state || state.textContent === text) return;
    state.className = "live " + tone;
    state.textContent = text;
  }
  let stream, lost = 0, last = Date.now(), first = true;
  function connect() {
    if ("still" in document.body.dataset || !$("[data-live]") || !window.EventSource) return connection("off", "Not live");
    stream = new EventSource(location.href);
    stream.onopen = () => { lost = 0; last = Date.now(); connection("", "Live"); };
    stream.onmessage = (e) => { last = Date.now(); connection("", "Live"); take(JSON.parse(e.data)); };
    stream.addEventListener("trouble", () => connection("wait", "The server has trouble; figures are " + length((Date.now() - last) / 1000) + " old"));
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) { stream = null; refresh(); return; }
      if (!lost) lost = Date.now();
      connection("wait", "Reconnecting, figures are " + length((Date.now() - lost) / 1000) + " old");
    };
  }
  async function refresh() { // no stream to be had: the page itself, every 5 s
    connection("off", "Refreshing every 5 s");
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (answer.redirected && new URL(answer.url).pathname === "/login") return location.reload();
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const place of $$("[data-live]", page)) take({ name: place.dataset.live, html: place.innerHTML });
      } catch { connection("wait", "No answer; figures are old"); }
    }
    setTimeout(refresh, 5000);
  }
  document.addEventListener("visibilitychange", () => { // a page that nobody sees costs the server nothing
    if (document.hidden) { if (stream) { stream.close(); stream = "asleep"; } } else if (stream === "asleep") connect();
  });

  // Small things.
  async function copy(text, button) {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    toast("ok", "Copied");
    if (button) button.focus();
  }
  function toast(tone, text) {
    const box = document.createElement("div");
    box.className = "toast " + tone;
    box.textContent = text;
    $("#toasts").append(box);
    setTimeout(() => box.remove(), 2500);
  }
  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-copy], [data-copy-code], [data-dismiss], [data-add-row], [data-remove-row], [data-close]");
    if (!button) return;
    if ("copy" in button.dataset) copy(button.dataset.copy, button);
    else if ("copyCode" in button.dataset) copy($("pre", button.parentElement).textContent, button);
    else if ("dismiss" in button.dataset) button.closest(".toast").remove();
    else if ("removeRow" in button.dataset) { const form = button.closest("form"); button.closest(".row").remove(); form.dispatchEvent(new Event("input", { bubbles: true })); }
    else if ("addRow" in button.dataset) {
      e.preventDefault();
      const rows = document.getElementById(button.dataset.addRow), template = rows.querySelector("template");
      rows.append(template.content.cloneNode(true));
      rows.lastElementChild.querySelector("input").focus();
    } else if ("close" in button.dataset && button.closest("dialog")) { e.preventDefault(); leave(button.closest("dialog")); }
  });
  document.addEventListener("change", (e) => {
    const field = e.target;
    if (field.name === "theme") {
      document.cookie = "theme=" + field.value + "; path=/; max-age=31536000; samesite=lax";
      if (field.value === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = field.value;
      redraw();
    } else if (field.closest("form[data-apply]")) field.closest("form").requestSubmit();
    else if ("all" in field.dataset) $$('tbody input[type="checkbox"]', field.closest("table")).forEach((box) => { box.checked = field.checked; });
    if (field.closest("[data-bulk]")) chosen(field.closest("[data-bulk]"));
  });
  function chosen(form) {
    const n = $$('tbody input[type="checkbox"]:checked', form).length, bar = $(".bulk", form);
    if (!bar) return;
    bar.hidden = n === 0;
    $("[data-chosen]", bar).textContent = n + " selected";
    $("[data-chosen-act]", bar).textContent = "Retry " + n;
  }
  $$("[data-bulk]").forEach(chosen);
  document.addEventListener("reset", (e) => { if (e.target.matches("[data-bulk]")) setTimeout(() => chosen(e.target)); });
  document.addEventListener("input", (e) => { // what destroys waits for the typed name
    const form = e.target.closest("[data-confirm]");
    if (form) $("[data-confirmed]", form).disabled = $("[name=confirm]", form).value.trim() !== form.dataset.confirm;
  });

  // Dialogs are pages with a dialog open; with a script they are modal.
  function leave(dialog) { location.href = dialog.dataset.back; }
  for (const dialog of $$("dialog[open]")) {
    dialog.close();
    dialog.showModal();
    const invalid = $("[aria-invalid=true]", dialog) || $("input:not([type=hidden]):not([type=radio])", dialog);
    if (invalid) invalid.focus();
    dialog.addEventListener("cancel", (e) => { e.preventDefault(); leave(dialog); });
    const form = $("[data-confirm]", dialog);
    if (form) $("[data-confirmed]", form).disabled = true;
  }

  // The composer: a file is checked while it goes up.
  const drop = $("[data-upload]");
  if (drop) {
    const input = $("input[type=file]", drop), place = $("#upload"), form = drop.closest("form");
    let sending;
    const send = (file) => {
      if (!file) return;
      if (sending) sending.abort();
      const most = Number(drop.dataset.most);
      if (most && file.size > most) { say(file.name + " has " + megabytes(file.size) + "; the server takes files of up to " + megabytes(most) + " (limits.file_bytes)."); input.value = ""; return; }
      const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(""), body = new FormData(), kind = new FormData(form).get("kind");
      body.append("kind", kind);
      body.append("check", id);
      body.append("file", file);
      const request = sending = new XMLHttpRequest(), began = Date.now();
      place.innerHTML = '<div class="upload"><div class="row"><strong></strong><span class="muted num push"></span><button type="button" class="btn quiet sm">Stop</button></div><svg class="bar" role="progressbar" aria-label="Upload" aria-valuemin="0" aria-valuemax="100"><rect class="run" width="0%"/></svg><p class="muted small num">Going up</p></div><div data-problems></div>';
      $("strong", place).textContent = file.name;
      let stopped = false;
      $("button", place).onclick = () => { stopped = true; request.abort(); };
      request.upload.onprogress = (e) => {
        const share = e.total ? Math.round(100 * e.loaded / e.total) : 0, left = (Date.now() - began) / e.loaded * (e.total - e.loaded) / 1000;
        $("rect", place).setAttribute("width", share + "%");
        $(".bar", place).setAttribute("aria-valuenow", share);
        $(".push", place).textContent = megabytes(e.loaded) + " of " + megabytes(e.total) + (left > 1 ? ", " + length(left) + " left" : "");
      };
      const watch = setInterval(async () => {
        try {
          const answer = await fetch("/new/file?check=" + id), text = answer.ok ? await answer.json() : null;
          if (text && request === sending && request.readyState < 4) { $("p", place).textContent = text.words; $("[data-problems]", place).innerHTML = text.html; }
        } catch { /* the outcome comes with the upload's own answer */ }
      }, 400);
      request.onloadend = () => {
        clearInterval(watch);
        if (request !== sending) return;
        sending = null;
        if (request.status === 0) { input.value = ""; if (stopped) { place.textContent = ""; toast("off", "Upload stopped"); } else say("The upload of " + file.name + " broke off. Look whether the server is there, and drop it again."); return; }
        place.innerHTML = request.responseText;
        const path = $("[data-path]", place), model = $("[data-model]", place);
        if (path) form.elements.path.value = path.value;
        if (model && !form.elements.model.value) form.elements.model.value = model.value;
        ready(place);
        form.dispatchEvent(new Event("input", { bubbles: true }));
      };
      request.open("POST", "/new/file");
      request.setRequestHeader("HX-Request", "true");
      request.send(body);
    };
    function say(text) { const p = document.createElement("p"); p.className = "notice bad"; p.setAttribute("role", "alert"); p.textContent = text; place.replaceChildren(p); }
    const megabytes = (n) => (n / 1e6).toFixed(n < 1e7 ? 1 : 0) + " MB";
    input.removeAttribute("name"); // it has gone up by itself
    input.addEventListener("change", () => send(input.files[0]));
    drop.addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (e) => { e.preventDefault(); drop.classList.remove("over"); send(e.dataTransfer.files[0]); });
  }

  ready(document);
  connect();
})();
