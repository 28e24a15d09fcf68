// From the page's letters back to numbers in units.

const INFLATES = typeof DecompressionStream === "function";

const readBlock = (name) => JSON.parse(document.getElementById(name).textContent);

const bytesOf = (letters) => {
  const text = atob(letters);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
};

const inflated = async (letters) => {
  const stream = new Blob([bytesOf(letters)]).stream();
  const through = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(through).arrayBuffer());
};

// A plane's values: NaN where nothing was measured.
const planeOf = async (packed) => {
  if (!packed) return null;
  const [rows, columns] = packed.size;
  const count = rows * columns;
  const bytes = await inflated(packed.bytes);
  const steps = new Uint16Array(count);
  const values = new Float32Array(count);
  for (let y = 0, at = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1, at += 1) {
      const left = x > 0 ? steps[at - 1] : y > 0 ? steps[at - columns] : 0;
      const above = y > 0 ? steps[at - columns] : left;
      const folded = bytes[at] | (bytes[count + at] << 8);
      const rest = folded & 1 ? -((folded + 1) >> 1) : folded >> 1;
      const slope = !packed.plain && x > 0 && y > 0;
      const predicted = slope ? left + above - steps[at - columns - 1] : (left + above) >> 1;
      const step = (predicted + rest) & 0xffff;
      steps[at] = step;
      values[at] = step === 0 ? NaN : packed.low + (step - 1) * packed.step;
    }
  }
  return { rows, columns, values, step: packed.step };
};

// A photograph as the bytes of its pixels.
const photoOf = async (letters, valid) => {
  const picture = await createImageBitmap(new Blob([bytesOf(letters)], { type: "image/jpeg" }));
  const canvas = document.createElement("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, picture.width, picture.height).data;
  return { rows: picture.height, columns: picture.width, pixels, valid: await planeOf(valid) };
};

// What the first look takes; `later` decodes what only a pointer, the attribution or 3D asks for.
const sensorOf = async (told) => {
  const sensor = { ...told, cloud: null };
  if (told.frame && told.frame.picture) {
    sensor.photo = await photoOf(told.frame.picture, told.frame.valid);
  } else if (told.frame) {
    sensor.channels = told.frame.channels.map((one) => ({ ...one, plane: null }));
    sensor.channels[0].plane = await planeOf(told.frame.channels[0].plane);
  }
  sensor.evidenceMap = await planeOf(told.evidence_map);
  sensor.later = async () => {
    sensor.attributionMap = await planeOf(told.attribution_map);
    for (const [number, one] of (sensor.channels || []).entries()) {
      if (!one.plane) one.plane = await planeOf(told.frame.channels[number].plane);
    }
    if (told.cloud) {
      sensor.cloud = { ...told.cloud, planes: await Promise.all(told.cloud.planes.map(planeOf)) };
    }
  };
  sensor.solid = Boolean(told.cloud);
  return sensor;
};

const captureOf = async (number) => {
  const told = readBlock(`capture-${number}`);
  const sensors = await Promise.all(told.sensors.map(sensorOf));
  sensors.forEach((sensor, index) => { sensor.own = OWN_COLORS[index % OWN_COLORS.length]; });
  return { ...told, sensors, fused: await planeOf(told.fused), truth: await planeOf(told.truth) };
};

// Numbers as people read them.
const written = (value, digits = 3) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(digits - 1).replaceAll("-", "−");
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(decimals).replaceAll("-", "−");
};

// A measured value with the decimals that its step of rounding has.
const toStep = (value, step) => {
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(decimals).replaceAll("-", "−");
};

// Evidence is a logarithm: two decimals say all there is.
const evidence = (value) =>
  Number.isFinite(value) ? value.toFixed(2).replaceAll("-", "−") : "–";

const percent = (share) => Number.isFinite(share) ? `${Math.round(100 * share)} %`.replace("-", "−") : "–";

const element = (name, text = "", classes = "") => {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (classes) made.className = classes;
  return made;
};
