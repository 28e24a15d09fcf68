// Flat panes: one per sensor and one for all together, with one zoom and one pointer.

// Okabe and Ito's colours, which people with any kind of colour blindness tell apart.
const OWN_COLORS = ["#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#0072b2", "#d55e00"];
const HATCH = [95, 120];
const TRUTH_COLOR = "#00e5ff";
const COVER = 0.85;

const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// 256 colours between those that the page was given.
const smoothTable = (flat) => {
  const last = flat.length / 3 - 1;
  const table = new Uint8ClampedArray(768);
  for (let i = 0; i < 256; i += 1) {
    const along = (i / 255) * last;
    const low = Math.min(Math.floor(along), last - 1);
    for (let c = 0; c < 3; c += 1) {
      const [a, b] = [flat[3 * low + c], flat[3 * low + 3 + c]];
      table[3 * i + c] = a + (b - a) * (along - low);
    }
  }
  return table;
};

const gradientOf = (table) => {
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map(
    (i) => `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`);
  return `linear-gradient(to right, ${stops.join(", ")})`;
};

const hatchAt = (at, columns) => {
  const y = Math.floor(at / columns);
  return HATCH[Math.floor((y + (at - y * columns)) / 4) % 2];
};

const fillHatch = (pixels, at, columns) => {
  const grey = hatchAt(at, columns);
  pixels[4 * at] = pixels[4 * at + 1] = pixels[4 * at + 2] = grey;
  pixels[4 * at + 3] = 255;
};

// Colours of a plane between the values of two end colours.
const planeColors = (plane, table, low, high) => {
  const { values, columns } = plane;
  const pixels = new Uint8ClampedArray(4 * values.length);
  const words = new Uint32Array(pixels.buffer);
  const colors = Uint32Array.from({ length: 256 }, (_, i) => wordOf(table[3 * i], table[3 * i + 1], table[3 * i + 2]));
  const gain = 255 / (high - low);
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (value !== value) {
      fillHatch(pixels, at, columns);
    } else {
      const index = (value - low) * gain + 0.5;
      words[at] = colors[index <= 0 ? 0 : index >= 255 ? 255 : index | 0];
    }
  }
  return pixels;
};

// Red, green and blue as browsers keep them: the first byte is the lowest.
const wordOf = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

// Heights lit from a corner: a dent of a hundredth of the range still shows.
const shade = (pixels, plane) => {
  const { values, rows, columns } = plane;
  const reach = Math.max(1, Math.round(columns / 200));
  const slope = new Float32Array(values.length);
  const some = [];
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const at = y * columns + x;
      const up = values[Math.max(0, y - reach) * columns + x];
      const down = values[Math.min(rows - 1, y + reach) * columns + x];
      const left = values[y * columns + Math.max(0, x - reach)];
      const right = values[y * columns + Math.min(columns - 1, x + reach)];
      const own = down - up + (right - left);
      slope[at] = own === own ? own : 0;
      if (at % 17 === 0) some.push(Math.abs(slope[at]));
    }
  }
  some.sort((a, b) => a - b);
  const usual = some[Math.floor(0.9 * some.length)] || 1;
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] !== values[at]) continue;
    const light = 1 + 0.45 * Math.tanh(slope[at] / (2.5 * usual));
    for (let c = 0; c < 3; c += 1) pixels[4 * at + c] *= light;
  }
};

const photoColors = ({ pixels, valid, columns }) => {
  const drawn = new Uint8ClampedArray(pixels);
  if (valid) {
    for (let at = 0; at < valid.values.length; at += 1) {
      if (valid.values[at] !== valid.values[at]) fillHatch(drawn, at, columns);
    }
  }
  return drawn;
};

// What a sensor saw, in colours; made once.
const frameColors = (sensor) => {
  if (sensor.drawn) return sensor.drawn;
  if (sensor.photo) {
    sensor.drawn = photoColors(sensor.photo);
  } else {
    const { plane, low, high } = sensor.channels[0];
    sensor.drawn = planeColors(plane, TABLES[sensor.frame.colors], low, high);
    if (sensor.frame.colors === "height") shade(sensor.drawn, plane);
  }
  return sensor.drawn;
};

// A sensor's frame in grey; made once.
const greysOf = (sensor) => {
  if (sensor.greys) return sensor.greys;
  const pixels = frameColors(sensor);
  sensor.greys = new Uint8Array(pixels.length / 4);
  for (let at = 0, from = 0; at < sensor.greys.length; at += 1, from += 4) {
    sensor.greys[at] = 0.299 * pixels[from] + 0.587 * pixels[from + 1] + 0.114 * pixels[from + 2];
  }
  return sensor.greys;
};

// A frame in grey with a map laid over it, so that colour means evidence only. `colors` holds 256
// colours from the lowest evidence to the highest, one after the other; `colorsAt` chooses among
// several by pixel.
const laidOver = (greys, map, top, cut, colors, colorsAt) => {
  const pixels = new Uint8ClampedArray(4 * greys.length);
  const words = new Uint32Array(pixels.buffer);
  const values = map ? map.values : null;
  const gain = 255 / top;
  for (let at = 0; at < greys.length; at += 1) {
    const grey = greys[at];
    const value = values ? values[at] : 0;
    const own = value > 0 && value >= cut ? (colorsAt ? colorsAt(at) : colors) : null;
    if (!own) {
      words[at] = wordOf(grey, grey, grey);
      continue;
    }
    const step = value * gain + 0.5;
    const index = step >= 255 ? 255 : step | 0;
    const share = (COVER * index) / 255;
    const left = (1 - share) * grey;
    words[at] = wordOf(left + share * own[3 * index], left + share * own[3 * index + 1],
      left + share * own[3 * index + 2]);
  }
  return pixels;
};

// One colour for all evidence.
const plainColors = (hex) => {
  const color = rgbOf(hex);
  return Uint8Array.from({ length: 768 }, (_, i) => color[i % 3]);
};

// The colour of the sensor whose share of a pixel's evidence is the largest.
const strongestColor = (sensors) => {
  const shares = sensors.filter((one) => one.attributionMap && one.registered)
    .map((one) => [one.attributionMap.values, plainColors(one.own)]);
  return (at) => {
    let best = null;
    let most = 0;
    for (const [values, color] of shares) {
      if (values[at] > most) [most, best] = [values[at], color];
    }
    return best;
  };
};

const composed = (capture, pane, mode, cut) => {
  const { sensor } = pane;
  const shown = sensor || referenceOf(capture);
  const { top } = capture;
  const map = sensor ? sensor.evidenceMap : capture.fused;
  const share = sensor ? sensor.attributionMap : capture.fused;
  if (mode === "frames") return shown ? frameColors(shown) : null;
  if (mode === "evidence") {
    const blank = () => new Float32Array(pane.rows * pane.columns).fill(NaN);
    const known = map || { values: blank(), columns: pane.columns };
    return planeColors(cutOff(known, cut), TABLES.score, 0, top);
  }
  if (mode === "attribution") {
    const colorsAt = sensor ? null : strongestColor(capture.sensors);
    return laidOver(greysOf(shown), share, top, cut, TABLES.score, colorsAt);
  }
  return laidOver(greysOf(shown), map, top, cut, TABLES.score);
};

const cutOff = (map, cut) => cut <= 0 ? map
  : { ...map, values: map.values.map((value) => (value < cut ? 0 : value)) };

const referenceOf = (capture) => {
  const there = capture.sensors.filter((one) => one.present && one.registered);
  return there.find((one) => one.name === capture.reference) || there[0] || null;
};

// The border of a mask as one path along the edges of its pixels.
const outlineOf = (mask) => {
  const path = new Path2D();
  const { rows, columns, values } = mask;
  const inside = (y, x) => y >= 0 && x >= 0 && y < rows && x < columns && values[y * columns + x] > 0;
  for (let y = 0; y <= rows; y += 1) {
    for (let x = 0; x <= columns; x += 1) {
      if (inside(y, x) !== inside(y - 1, x)) { path.moveTo(x, y); path.lineTo(x + 1, y); }
      if (inside(y, x) !== inside(y, x - 1)) { path.moveTo(x, y); path.lineTo(x, y + 1); }
    }
  }
  return path;
};

class Pane {
  constructor(capture, sensor) {
    this.sensor = sensor;
    this.name = sensor ? sensor.name : "fused";
    this.linked = !sensor || sensor.registered;
    [this.rows, this.columns] = capture.size.map((side) => Math.ceil(side / capture.every));
    this.picture = document.createElement("canvas");
    this.picture.width = this.columns;
    this.picture.height = this.rows;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.dataset.pane = this.name;
  }

  compose(capture, mode, cut) {
    this.pixels = composed(capture, this, mode, cut);
    const image = new ImageData(this.pixels, this.columns, this.rows);
    this.picture.getContext("2d").putImageData(image, 0, 0);
  }

  // Canvas pixels for one pixel of the scene.
  gain(zoom) { return (this.canvas.width / this.columns) * zoom.scale; }

  place(event, zoom) {
    const box = this.canvas.getBoundingClientRect();
    const gain = this.gain(zoom) * (box.width / this.canvas.width);
    return [zoom.x + (event.clientX - box.left) / gain, zoom.y + (event.clientY - box.top) / gain];
  }

  fit() {
    const width = Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1));
    const height = Math.round((width * this.rows) / this.columns);
    if (width > 0 && (this.canvas.width !== width || this.canvas.height !== height)) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
  }

  draw(state) {
    const context = this.canvas.getContext("2d");
    const { zoom } = state;
    const gain = this.gain(zoom);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(gain, 0, 0, gain, -zoom.x * gain, -zoom.y * gain);
    context.imageSmoothingEnabled = gain < 2;
    context.drawImage(this.picture, 0, 0);
    if (this.linked) this.marks(context, state, gain);
  }

  marks(context, state, gain) {
    const line = (window.devicePixelRatio || 1) / gain;
    if (state.truth && state.outline) {
      for (const [color, width] of [["#000", 4], [TRUTH_COLOR, 2]]) {
        context.strokeStyle = color;
        context.lineWidth = width * line;
        context.stroke(state.outline);
      }
    }
    if (state.boxes) this.regions(context, state, line);
    const at = state.pointer;
    if (at) {
      const [x, y] = [at.x + 0.5, at.y + 0.5];
      const [gap, far] = [5 * line, 16 * line];
      for (const [color, width] of [["#000", 3.5], ["#fff", 1.5]]) {
        context.strokeStyle = color;
        context.lineWidth = width * line;
        context.beginPath();
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
          context.moveTo(x + dx * gap, y + dy * gap);
          context.lineTo(x + dx * far, y + dy * far);
        }
        context.stroke();
      }
    }
  }

  regions(context, state, line) {
    const { every, regions } = state.capture;
    regions.forEach((region, index) => {
      const [left, top, right, bottom] = region.box.map((side) => side / every);
      const chosen = state.region === index;
      for (const [color, width] of [["#000", chosen ? 5 : 3], ["#fff", chosen ? 3 : 1]]) {
        context.strokeStyle = color;
        context.lineWidth = width * line;
        context.strokeRect(left, top, right - left, bottom - top);
      }
      context.font = `${12 * line}px system-ui, sans-serif`;
      context.lineWidth = 3 * line;
      context.strokeStyle = "#000";
      context.fillStyle = "#fff";
      const place = [left + 2 * line, top > 14 * line ? top - 4 * line : bottom + 13 * line];
      context.strokeText(String(index + 1), ...place);
      context.fillText(String(index + 1), ...place);
    });
  }
}
