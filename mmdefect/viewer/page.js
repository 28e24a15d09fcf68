// The page: which capture, how it is shown, what lies under the pointer.

const by = (name) => document.getElementById(name);
const PAGE = readBlock("page");
const TABLES = Object.fromEntries(
  Object.entries(PAGE.colors).map(([name, flat]) => [name, smoothTable(flat)]));
const MODES = ["frames", "over", "evidence", "attribution"];
const LEGENDS = {
  frames: "What each sensor saw, coloured between its 1st and 99th percentile; heights are lit by their slope.",
  over: "Evidence against each pixel (−ln p among good parts; higher is worse) over the frame in grey.",
  evidence: "Evidence against each pixel (−ln p among good parts; higher is worse), one scale for all maps.",
  attribution: "Attribution: each sensor's share of the fused evidence, pixel by pixel (Shapley values; they sum to the fused map above what good pixels usually have). In the fused pane the colour names the sensor with the largest share.",
};

const state = {
  capture: null, number: 0, mode: "over", cut: 0, truth: true, boxes: true, outline: null,
  zoom: { x: 0, y: 0, scale: 1 }, pointer: null, held: false, region: -1,
  panes: [], clouds: [], threshold: null,
};

const fail = (error) => {
  by("fault").hidden = false;
  by("fault").textContent = `This capture cannot be shown: ${error.message || error}`;
  document.documentElement.dataset.ready = "failed";
};

let waiting = false;
const redraw = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const pane of [...state.panes, ...state.clouds]) {
      pane.fit();
      pane.draw(state);
    }
  });
};

const recompose = () => {
  const { capture } = state;
  for (const pane of state.panes) {
    pane.compose(capture, state.mode, state.cut);
    pane.scales.replaceChildren(...scalesOf(capture, pane));
  }
  for (const cloud of state.clouds) paintCloud(cloud);
  by("legend").textContent = LEGENDS[state.mode];
  redraw();
};

// A cloud wears the fused map where it is registered, else its own colours.
const paintCloud = (cloud) => {
  const own = state.panes.find((pane) => pane.sensor === cloud.sensor);
  const fused = cloud.sensor.registered && state.panes.find((pane) => !pane.sensor);
  const worn = fused || own;
  cloud.paint(worn.pixels, worn.columns);
};

// ---- legends of the panes

const ramp = (table, low, high, unit) => {
  const span = element("span");
  const bar = element("i", "", "ramp");
  bar.style.background = gradientOf(TABLES[table]);
  span.append(low, bar, `${high} ${unit}`);
  return span;
};

const unitOf = (unit) => (unit === "1" ? "" : unit);

const scalesOf = (capture, { sensor }) => {
  const made = [];
  if (sensor && sensor.channels && state.mode === "frames") {
    const { quantity, unit, low, high, plane } = sensor.channels[0];
    const step = Math.max(plane.step, (high - low) / 300);
    made.push(element("span", quantity),
      ramp(sensor.frame.colors, toStep(low, step), toStep(high, step), unitOf(unit)));
  }
  const last = `${capture.top}${capture.top >= 40 ? " or more" : ""}`;
  if (state.mode === "attribution" && !sensor) {
    for (const one of capture.sensors.filter((s) => s.attributionMap && s.registered)) {
      const key = element("span");
      const swatch = element("i", "", "swatch");
      swatch.style.background = one.own;
      key.append(swatch, one.name);
      made.push(key);
    }
  } else if (state.mode !== "frames") {
    const what = state.mode === "attribution" ? "share of evidence" : "evidence";
    made.push(element("span", what), ramp("score", "0", last, ""));
  }
  return made;
};

// ---- making the panes

const captionOf = (name, words, own) => {
  const caption = element("figcaption");
  const title = element("span", "", "of");
  title.append(element("b", name));
  if (own) title.style.setProperty("--own", own);
  caption.append(title, element("span", words, "soft"));
  return caption;
};

const wordsOf = (sensor) => {
  if (!sensor.present) return "absent";
  const seen = sensor.valid < 0.9995 ? `${percent(sensor.valid)} measured` : "";
  const kind = sensor.modality === sensor.name ? "" : sensor.modality;
  const grid = sensor.registered ? "" : "own grid, not registered";
  return [kind, seen, grid].filter(Boolean).join(", ");
};

const absentPane = (sensor, words) => {
  const figure = element("figure", "", "pane");
  const box = element("div", words, "absent");
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `${sensor.name}: ${words}`);
  const [rows, columns] = state.capture.size;
  box.style.aspectRatio = `${columns} / ${rows}`;
  figure.append(captionOf(sensor.name, wordsOf(sensor), sensor.own), box);
  return figure;
};

const flatPane = (capture, sensor) => {
  const pane = new Pane(capture, sensor);
  const figure = element("figure", "", "pane");
  pane.scales = element("div", "", "scales");
  const caption = sensor ? captionOf(sensor.name, wordsOf(sensor), sensor.own)
    : captionOf("fused", "all registered sensors", "");
  pane.canvas.setAttribute("role", "img");
  pane.canvas.setAttribute("aria-label", `${pane.name} of ${capture.capture}. Arrow keys move the pointer.`);
  figure.append(caption, pane.canvas, pane.scales);
  listenFlat(pane);
  state.panes.push(pane);
  return figure;
};

const cloudPane = (capture, sensor) => {
  const cloud = new Cloud(sensor, capture);
  const figure = element("figure", "", "pane cloud");
  const label = element("label", "heights ", "heights");
  const select = element("select");
  for (const times of HEIGHTS) select.append(new Option(`×${times}`, times));
  select.value = cloud.exaggeration;
  select.addEventListener("change", () => {
    cloud.exaggeration = Number(select.value);
    paintCloud(cloud);
    redraw();
  });
  label.append(select);
  const caption = captionOf(`${sensor.name} in 3D`, "", sensor.own);
  caption.lastChild.replaceWith(label);
  cloud.canvas.setAttribute("role", "img");
  cloud.canvas.setAttribute("aria-label", `${sensor.name} of ${capture.capture} in 3D. Arrow keys turn it.`);
  const [low, high] = sensor.cloud.ends;
  const note = element("div", `relief ${written(high - low)} ${unitOf(sensor.cloud.unit)}, ` +
    `every ${sensor.cloud.every === 1 ? "point" : `${sensor.cloud.every}th point`}`, "scales");
  figure.append(caption, cloud.canvas, note);
  listenCloud(cloud);
  state.clouds.push(cloud);
  return figure;
};

// Where the points in 3D will be, once they are decoded.
const waitingPane = (sensor) => {
  const figure = element("figure", "", "pane cloud waiting");
  const box = element("div");
  const [rows, columns] = state.capture.size;
  box.style.aspectRatio = `${columns} / ${rows}`;
  figure.append(captionOf(`${sensor.name} in 3D`, "", sensor.own), box, element("div", "", "scales"));
  return figure;
};

const solidPanes = (capture) => {
  const waiting = [...document.querySelectorAll(".waiting")];
  for (const sensor of capture.sensors.filter((one) => one.solid)) {
    waiting.shift().replaceWith(cloudPane(capture, sensor));
  }
  for (const cloud of state.clouds) {
    paintCloud(cloud);
    cloud.fit();
    cloud.draw(state);
  }
};

const makePanes = (capture) => {
  for (const cloud of state.clouds) cloud.release();
  state.panes = [];
  state.clouds = [];
  const made = [];
  if (capture.fused && referenceOf(capture)) made.push(flatPane(capture, null));
  else made.push(absentPane({ name: "fused", present: true, valid: 1, registered: true, modality: "fused" }, "no evidence of a registered sensor"));
  for (const sensor of capture.sensors) {
    if (!sensor.present) made.push(absentPane(sensor, "absent: measured nothing in this capture"));
    else made.push(flatPane(capture, sensor));
    if (sensor.solid) made.push(waitingPane(sensor));
  }
  by("grid").replaceChildren(...made);
  layOut();
};

// As many columns as make the panes largest while all of them fit the window.
const layOut = () => {
  const grid = by("grid");
  const count = grid.children.length;
  const [rows, columns] = state.capture.size;
  const [gap, words] = [10, 66];
  const main = document.querySelector("main");
  const beside = window.matchMedia("(min-width: 1001px)").matches;
  const across = main.clientWidth - 32 - (beside ? 372 + 12 : 0);
  const room = window.innerHeight - grid.getBoundingClientRect().top - window.scrollY - 34;
  let best = [1, 0];
  for (let panes = 1; panes <= count; panes += 1) {
    const down = Math.ceil(count / panes);
    const width = (across - gap * (panes - 1)) / panes;
    const height = ((room - gap * (down - 1)) / down - words) * (columns / rows);
    const side = Math.floor(Math.min(width, height));
    if (side > best[1]) best = [panes, side];
  }
  const least = Math.min(250, across);
  if (best[1] < least) {
    const panes = Math.max(1, Math.floor((across + gap) / (least + gap)));
    best = [panes, Math.floor((across - gap * (panes - 1)) / panes)];
  }
  const wide = best[0] * best[1] + gap * (best[0] - 1);
  grid.style.gridTemplateColumns = `repeat(${best[0]}, ${best[1]}px)`;
  main.style.gridTemplateColumns = beside ? `${Math.max(wide, 560)}px minmax(372px, 560px)` : "";
};

// ---- moving about

const clampZoom = () => {
  const { zoom } = state;
  const [rows, columns] = [state.panes[0].rows, state.panes[0].columns];
  zoom.scale = Math.max(1, Math.min(64, zoom.scale));
  zoom.x = Math.max(0, Math.min(columns - columns / zoom.scale, zoom.x));
  zoom.y = Math.max(0, Math.min(rows - rows / zoom.scale, zoom.y));
};

const zoomAt = (x, y, times) => {
  const { zoom } = state;
  const scale = Math.max(1, Math.min(64, zoom.scale * times));
  zoom.x = x - ((x - zoom.x) * zoom.scale) / scale;
  zoom.y = y - ((y - zoom.y) * zoom.scale) / scale;
  zoom.scale = scale;
  clampZoom();
  redraw();
};

const wholePart = () => {
  state.zoom = { x: 0, y: 0, scale: 1 };
  state.region = -1;
  for (const cloud of state.clouds) cloud.home();
  markRegion();
  redraw();
};

const pointAt = (x, y, pane) => {
  if (!pane.linked) return readAlone(pane, x, y);
  const inside = x >= 0 && y >= 0 && x < pane.columns && y < pane.rows;
  state.pointer = inside ? { x: Math.floor(x), y: Math.floor(y) } : null;
  readOut();
  return redraw();
};

const listenFlat = (pane) => {
  const { canvas } = pane;
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, zoom: { ...state.zoom }, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) {
      const scale = pane.gain(drag.zoom) * (canvas.clientWidth / canvas.width);
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.moved = drag.moved || Math.hypot(dx, dy) > 4;
      if (drag.moved) {
        Object.assign(state.zoom, { x: drag.zoom.x - dx / scale, y: drag.zoom.y - dy / scale });
        clampZoom();
        redraw();
      }
    } else if (!state.held) {
      pointAt(...pane.place(event, state.zoom), pane);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) {
      const place = pane.place(event, state.zoom);
      state.held = !state.held;
      pointAt(...place, pane);
    }
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => {
    if (!state.held && !drag) {
      state.pointer = null;
      readOut();
      redraw();
    }
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(...pane.place(event, state.zoom), Math.exp(-event.deltaY * 0.002));
  }, { passive: false });
  canvas.addEventListener("dblclick", wholePart);
  canvas.addEventListener("keydown", (event) => flatKeys(event, pane));
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const flatKeys = (event, pane) => {
  const at = state.pointer || { x: Math.floor(pane.columns / 2), y: Math.floor(pane.rows / 2) };
  if (event.key in ARROWS) {
    const far = event.shiftKey ? 10 : 1;
    const [dx, dy] = ARROWS[event.key];
    state.held = true;
    pointAt(Math.max(0, Math.min(pane.columns - 1, at.x + dx * far)),
      Math.max(0, Math.min(pane.rows - 1, at.y + dy * far)), pane);
  } else if (event.key === "+" || event.key === "-") {
    zoomAt(at.x, at.y, event.key === "+" ? 1.5 : 1 / 1.5);
  } else {
    return;
  }
  event.preventDefault();
};

const listenCloud = (cloud) => {
  const { canvas } = cloud;
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) {
      if (state.held || !cloud.sensor.registered) return;
      state.pointer = cloud.under(event);
      readOut();
    } else if (event.shiftKey || event.buttons & 2) {
      const scale = cloud.canvas.width / cloud.canvas.clientWidth / (cloud.gain() / 1.28);
      cloud.shift[0] += (event.clientX - last[0]) * scale;
      cloud.shift[1] -= (event.clientY - last[1]) * scale;
    } else {
      turn(cloud, (event.clientX - last[0]) * 0.01, (event.clientY - last[1]) * 0.01);
    }
    if (last) last = [event.clientX, event.clientY];
    redraw();
  });
  canvas.addEventListener("pointerup", () => { last = null; });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    cloud.zoom = Math.max(0.3, Math.min(40, cloud.zoom * Math.exp(-event.deltaY * 0.002)));
    redraw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      turn(cloud, dx * 0.1, dy * 0.1);
    } else if (event.key === "+" || event.key === "-") {
      cloud.zoom *= event.key === "+" ? 1.25 : 0.8;
    } else {
      return;
    }
    event.preventDefault();
    redraw();
  });
};

const turn = (cloud, dx, dy) => {
  cloud.turn += dx;
  cloud.tilt = Math.max(0, Math.min(Math.PI / 2, cloud.tilt - dy));
  cloud.canvas.dataset.turn = `${cloud.turn.toFixed(3)} ${cloud.tilt.toFixed(3)}`;
};
