// Words and numbers beside the panes, and the wires between everything.

// ---- under the pointer

const withUnit = (value, unit, step) => {
  const number = toStep(value, step);
  if (unit === "K") return `${number} K (${toStep(value - 273.15, Math.max(step, 0.01))} °C)`;
  if (unit === "relative") return `${number} (no unit known)`;
  return unit === "1" ? number : `${number} ${unit}`;
};

const attenuationOf = (quantity, unit, value) =>
  quantity.startsWith("transmission") && unit === "1" && value > 0
    ? `, attenuation ${written(-Math.log(value), 3)}` : "";

const measuredAt = (sensor, at) => {
  if (!sensor.present) return "absent";
  if (sensor.photo) {
    const { pixels, valid } = sensor.photo;
    if (valid && Number.isNaN(valid.values[at])) return "no data";
    return ["R", "G", "B"].map(
      (name, c) => `${name} ${Math.round(pixels[4 * at + c] / 2.55)} %`).join(" ");
  }
  return sensor.channels.filter(({ plane }) => plane).map(({ quantity, unit, plane }) => {
    const value = plane.values[at];
    if (Number.isNaN(value)) return sensor.channels.length > 1 ? `${quantity} no data` : "no data";
    return `${quantity} ${withUnit(value, unit, plane.step)}${attenuationOf(quantity, unit, value)}`;
  }).join("\n");
};

const valueAt = (plane, at) => (plane && at >= 0 ? plane.values[at] : NaN);

const readingRow = (sensor, at) => {
  const row = element("tr");
  const head = element("th", sensor.name);
  head.scope = "row";
  const said = at < 0 ? "" : measuredAt(sensor, at);
  const cell = element("td", said, said === "no data" || said === "absent" ? "none" : "");
  row.append(head, cell, element("td", at < 0 ? "" : evidence(valueAt(sensor.evidenceMap, at))),
    element("td", at < 0 ? "" : evidence(valueAt(sensor.attributionMap, at))));
  return row;
};

const showReading = (where, indexOf, fused) => {
  const rows = state.capture.sensors.map((sensor) => readingRow(sensor, indexOf(sensor)));
  const row = element("tr");
  const head = element("th", "fused");
  head.scope = "row";
  row.append(head, element("td"), element("td", evidence(fused)), element("td"));
  by("reading").tBodies[0].replaceChildren(...rows, row);
  by("where").textContent = where;
};

const readOut = () => {
  const { capture, pointer } = state;
  if (!pointer) {
    showReading("Point at a pane; click to hold a place.", () => -1, NaN);
    return;
  }
  const at = pointer.y * Math.ceil(capture.size[1] / capture.every) + pointer.x;
  const { every } = capture;
  const block = every > 1 ? `, mean of ${every}×${every} pixels` : "";
  const where = `x ${pointer.x * every}, y ${pointer.y * every} px${block}${state.held ? " (held; Esc lets go)" : ""}`;
  showReading(where, (sensor) => (sensor.registered || !sensor.present ? at : -1), valueAt(capture.fused, at));
  if (state.held) {
    by("spoken").textContent = `${where}. ` + capture.sensors.filter((one) => one.registered)
      .map((one) => `${one.name}: ${measuredAt(one, at)}`).join("; ");
  }
};

const readAlone = (pane, x, y) => {
  state.pointer = null;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const at = row * pane.columns + column;
  showReading(`${pane.name}, on its own grid: x ${column}, y ${row}`,
    (sensor) => (sensor === pane.sensor ? at : -1), NaN);
  redraw();
};

// ---- tables

const regionRow = (region, index) => {
  const row = element("tr");
  const button = element("button", String(index + 1));
  button.type = "button";
  button.title = "go there";
  button.addEventListener("click", () => goTo(index));
  const first = element("td");
  first.append(button);
  const area = region.area_mm2 === null ? `${region.area_px} px`
    : `${written(region.area_mm2)} mm²`;
  const place = region.place === "part" ? "" : ` (${region.place})`;
  row.append(first, element("td", area), element("td", written(region.p_value, 2)),
    element("td", evidence(region.evidence)), seenBy(region, place));
  return row;
};

// Who sees a region, and below the first of what those sensors measure there.
const seenBy = (region, place) => {
  const cell = element("td", region.sensors.join(", ") + place);
  const own = (region.measured || []).filter(
    (words) => region.sensors.some((name) => words.endsWith(`(${name})`)));
  if (own.length) cell.append(element("div", own[0], "soft"));
  return cell;
};

// ---- why: what is known of one region, in words

const WHY = {
  measured: "measured", matches: "the nearest good patch", what_if: "if it looked good",
};

const shareBar = (share, total, own) => {
  const bar = element("span", "", "share");
  const inner = element("i");
  inner.style.width = `${100 * Math.max(0, Math.min(1, share / total))}%`;
  inner.style.setProperty("--own", own);
  bar.append(inner);
  return bar;
};

const sharesOf = (region) => {
  const line = element("p", "", "numbers");
  const told = Object.entries(region.shares || {}).sort((a, b) => b[1] - a[1]);
  const total = told.reduce((sum, [, share]) => sum + Math.max(0, share), 0);
  for (const [name, share] of total > 0 ? told : []) {
    const sensor = state.capture.sensors.find((one) => one.name === name);
    const item = element("span", "", "item");
    item.append(shareBar(share, total, sensor ? sensor.own : ""), `${name} ${percent(share / total)}`);
    line.append(item);
  }
  return line;
};

const showWhy = (index) => {
  const region = state.capture.regions[index];
  const told = region && Object.keys(WHY).some((key) => (region[key] || []).length);
  by("why").hidden = !told;
  if (!told) return;
  by("why-title").textContent = `Why region ${index + 1}`;
  const parts = [sharesOf(region)];
  for (const [key, heading] of Object.entries(WHY)) {
    if (!(region[key] || []).length) continue;
    const list = element("ul");
    list.append(...region[key].map((words, n) => {
      const told = element("li", words);
      const pair = key === "matches" && (region.beside || [])[n];
      if (pair) told.append(besideOf(pair));
      return told;
    }));
    parts.push(element("h3", heading), list);
  }
  by("why-words").replaceChildren(...parts);
  by("guarantee").textContent = state.capture.guarantee ? `Promised: ${state.capture.guarantee}.` : "";
};

const goTo = (index) => {
  const { capture, panes, zoom } = state;
  const [left, top, right, bottom] = capture.regions[index].box.map((side) => side / capture.every);
  const { rows, columns } = panes[0];
  zoom.scale = Math.max(1, Math.min(24, 0.4 * Math.min(columns / (right - left), rows / (bottom - top))));
  zoom.x = (left + right) / 2 - columns / zoom.scale / 2;
  zoom.y = (top + bottom) / 2 - rows / zoom.scale / 2;
  clampZoom();
  const [x, y] = capture.regions[index].peak.map((side) => Math.floor(side / capture.every));
  Object.assign(state, { region: index, held: true, pointer: { x, y } });
  markRegion();
  showWhy(index);
  readOut();
  redraw();
};

const markRegion = () => {
  [...by("regions").tBodies[0].rows].forEach((row, index) => {
    row.className = index === state.region ? "chosen" : "";
  });
};

const sensorRow = (sensor, total) => {
  const row = element("tr");
  const head = element("th", sensor.name);
  head.scope = "row";
  if (!sensor.present) {
    const cell = element("td", "absent", "none");
    cell.colSpan = 3;
    row.append(head, cell);
    return row;
  }
  const share = total > 0 && Number.isFinite(sensor.attribution) ? sensor.attribution / total : NaN;
  const cell = element("td");
  if (Number.isFinite(share)) {
    cell.append(shareBar(share, 1, sensor.own));
  }
  cell.append(percent(share));
  row.append(head, element("td", evidence(sensor.evidence)), element("td", written(sensor.p_value, 2)), cell);
  return row;
};

const showTables = (capture) => {
  by("regions").tBodies[0].replaceChildren(...capture.regions.map(regionRow));
  by("regions").hidden = !capture.regions.length;
  by("no-regions").hidden = capture.regions.length > 0;
  showWhy(0);
  const total = capture.sensors.reduce((sum, one) => sum + (one.attribution || 0), 0);
  by("sensors").tBodies[0].replaceChildren(
    ...capture.sensors.map((sensor) => sensorRow(sensor, total)));
};

// ---- verdict and threshold

const thresholdOf = (told) => (state.threshold === null ? told.threshold : state.threshold);

const showVerdict = () => {
  const { capture } = state;
  const threshold = thresholdOf(capture);
  const verdict = verdictAt(capture, threshold);
  by("verdict").value = VERDICTS[verdict];
  by("verdict").className = verdict;
  by("known").textContent = capture.label ? `known to be: ${capture.label}${
    capture.kind && capture.kind !== capture.label ? ` (${capture.kind})` : ""}` : "";
  const limit = threshold === null ? "no threshold can be promised"
    : `${capture.image_score > threshold ? ">" : "≤"} threshold ${written(threshold)}`;
  by("numbers").textContent = capture.image_score === null ? "no score"
    : `score ${written(capture.image_score)} ${limit} · p ${written(capture.p_value)}`;
  by("because").hidden = !capture.why;
  by("because").textContent = capture.why || "";
  const moved = state.threshold !== null;
  by("restore").hidden = !moved;
  by("consequence").textContent = threshold === null
    ? "Too few good parts calibrate this model; move the slider to see what would follow."
    : `${moved ? "Moved, here only. " : ""}${consequence(capture, threshold)}`;
  const [low, high] = rangeOf(capture);
  const slider = by("threshold");
  Object.assign(slider, { min: low, max: high });
  slider.value = threshold === null ? high : threshold;
  slider.setAttribute("aria-valuetext", `${written(threshold)}: ${VERDICTS[verdict]}`);
  drawStrip(by("strip"), capture, threshold);
  const good = capture.good_scores;
  const range = good.length ? ` score ${written(good[0])} to ${written(good[good.length - 1])}` : "";
  by("strip").setAttribute("aria-label", `This part scores ${written(capture.image_score)}; ` +
    `${good.length} good parts${range}; the threshold is ${written(threshold)}.`);
  document.documentElement.dataset.verdict = verdict;
  nameCaptures();
};

const nameCaptures = () => {
  [...by("capture").options].forEach((option, index) => {
    const told = HEADS[index];
    const verdict = VERDICTS[verdictAt(told, thresholdOf(told))];
    const text = `${told.capture} — ${verdict}`;
    if (option.text !== text) option.text = text;
  });
};

// ---- captures, one after the other

const HEADS = readBlock("heads");

const show = async (number) => {
  state.number = number;
  const capture = await captureOf(number);
  if (state.number !== number) return;
  const sized = state.capture && state.capture.size.join() === capture.size.join();
  Object.assign(state, { capture, pointer: null, held: false, region: -1 });
  if (!sized) state.zoom = { x: 0, y: 0, scale: 1 };
  state.outline = capture.truth ? outlineOf(capture.truth) : null;
  by("capture").value = String(number);
  by("previous").disabled = number === 0;
  by("next").disabled = number === HEADS.length - 1;
  by("place").textContent = HEADS.length > 1 ? `${number + 1} of ${HEADS.length}` : "";
  document.querySelector(".truth").hidden = !capture.truth;
  by("cut").max = capture.top;
  if (state.mode === "attribution") await restOf(capture);
  if (state.capture !== capture) return;
  makePanes(capture);
  showTables(capture);
  readOut();
  recompose();
  showVerdict();
  for (const pane of [...state.panes, ...state.clouds]) {
    pane.fit();
    pane.draw(state);
  }
  document.title = `${capture.capture}: ${VERDICTS[capture.verdict]}`;
  delete document.documentElement.dataset.whole;
  Object.assign(document.documentElement.dataset, {
    capture: number, ready: Math.round(performance.now()),
  });
  await nextFrame();
  await complete(capture);
};

const nextFrame = () => new Promise((done) => { requestAnimationFrame(() => setTimeout(done, 0)); });

const restOf = async (capture) => {
  for (const sensor of capture.sensors) {
    if (sensor.attributionMap === undefined) await sensor.later();
    if (state.capture !== capture) return;
  }
};

// What the first look did not take: the attribution, further channels, the points in 3D.
const complete = async (capture) => {
  await restOf(capture);
  if (state.capture !== capture) return;
  solidPanes(capture);
  if (state.mode === "attribution") recompose();
  readOut();
  redraw();
  document.documentElement.dataset.whole = Math.round(performance.now());
};

const step = (far) => {
  const number = state.number + far;
  if (number >= 0 && number < HEADS.length) show(number).catch(fail);
  else if (PAGE.links[far > 0 ? "next" : "previous"]) by(far > 0 ? "link-next" : "link-previous").click();
};

const setMode = (mode) => {
  state.mode = mode;
  document.querySelector(`input[value="${mode}"]`).checked = true;
  recompose();
};

const KEYS = {
  n: () => step(1), p: () => step(-1), r: wholePart,
  t: () => by("truth").click(), b: () => by("boxes").click(),
  Escape: () => { state.held = false; state.pointer = null; readOut(); redraw(); },
  1: () => setMode("frames"), 2: () => setMode("over"),
  3: () => setMode("evidence"), 4: () => setMode("attribution"),
};

const listen = () => {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    if (event.key in KEYS) KEYS[event.key]();
  });
  by("modes").addEventListener("change", (event) => setMode(event.target.value));
  by("cut").addEventListener("input", (event) => {
    state.cut = Number(event.target.value);
    by("cut-value").value = event.target.value;
    recompose();
  });
  for (const name of ["truth", "boxes"]) {
    by(name).addEventListener("change", (event) => { state[name] = event.target.checked; redraw(); });
  }
  by("reset").addEventListener("click", wholePart);
  by("threshold").addEventListener("input", (event) => {
    state.threshold = Number(event.target.value);
    showVerdict();
  });
  by("restore").addEventListener("click", () => {
    state.threshold = null;
    showVerdict();
    by("threshold").focus();
  });
  by("capture").addEventListener("change", (event) => show(Number(event.target.value)).catch(fail));
  by("previous").addEventListener("click", () => step(-1));
  by("next").addEventListener("click", () => step(1));
  new ResizeObserver(() => { if (state.capture) { redraw(); showVerdict(); } }).observe(by("grid"));
  window.addEventListener("resize", () => { if (state.capture) { layOut(); redraw(); } });
};

const begin = () => {
  by("title").textContent = PAGE.title;
  by("made").textContent = [`mmdefect ${PAGE.mmdefect}`, PAGE.made].filter(Boolean).join(", ");
  for (const [name, { address, words }] of Object.entries(PAGE.links)) {
    const link = element("a", words);
    link.href = address;
    link.id = `link-${name}`;
    by("links").append(link);
  }
  HEADS.forEach((told, index) => by("capture").append(new Option(told.capture, index)));
  if (HEADS.length < 2) document.querySelector(".choose").hidden = !HEADS.length;
  listen();
  if (!INFLATES) {
    fail("this browser is too old; it takes Chrome or Edge 80, Firefox 113, Safari 16.4 or newer");
    return;
  }
  show(0).catch(fail);
};

begin();
