// The pane of points: a lit surface that is turned by mouse or keys, by WebGL or without it.

const HEIGHTS = [1, 2, 5, 10, 20, 50];
const JUMP = 8;

class Cloud {
  constructor(sensor, capture) {
    this.sensor = sensor;
    this.capture = capture;
    const { planes, every } = sensor.cloud;
    this.every = every;
    [this.rows, this.columns] = [planes[0].rows, planes[0].columns];
    this.right = planes[0].values;
    this.down = planes[1].values;
    this.height = planes[2].values;
    this.measure();
    this.home();
    this.begin(webRenderer);
    if (!this.renderer) this.begin(flatRenderer);
    this.canvas.dataset.renderer = this.renderer.name;
  }

  // A canvas that was asked for WebGL gives nothing else, so that every try has its own.
  begin(renderer) {
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.dataset.pane = `${this.sensor.name} in 3D`;
    try {
      this.renderer = renderer(this);
    } catch {
      this.renderer = null; // the graphics process is gone
    }
  }

  // Browsers hold few contexts at a time: the one of a capture that is left is given back.
  release() { this.renderer.release(); }

  home() {
    this.turn = 0.5;
    this.tilt = 0.85;
    this.zoom = 0.9;
    this.shift = [0, 0];
  }

  measure() {
    const spans = [this.right, this.down].map((values) => ends(values));
    this.middle = spans.map(([low, high]) => (low + high) / 2);
    this.half = Math.max(...spans.map(([low, high]) => (high - low) / 2), 1e-9);
    const [low, high] = this.sensor.cloud.ends;
    this.level = (low + high) / 2;
    const relief = (high - low) / (2 * this.half);
    this.exaggeration = HEIGHTS.findLast((times) => times * relief <= 0.3) || 1;
    this.faces = facesOf(this);
  }

  // Where a point lies, turned: right, up, towards the eye, each −1 to 1.
  matrix() {
    const [c, s, ct, st] = [Math.cos(this.turn), Math.sin(this.turn), Math.cos(this.tilt), Math.sin(this.tilt)];
    const k = this.exaggeration;
    return [
      [c, s, 0],
      [ct * s, -ct * c, st * k],
      [-st * s, st * c, ct * k],
    ];
  }

  point(at) {
    return [
      (this.right[at] - this.middle[0]) / this.half,
      (this.down[at] - this.middle[1]) / this.half,
      (this.height[at] - this.level) / this.half,
    ];
  }

  gain() { return 0.64 * this.zoom * Math.min(this.canvas.width, this.canvas.height) / 1; }

  // Pixels of the canvas, and depth.
  seen(at, rows = this.matrix()) {
    const [x, y, z] = this.point(at);
    const [a, b, d] = rows.map((row) => row[0] * x + row[1] * y + row[2] * z);
    const gain = this.gain() / 1.28;
    return [
      this.canvas.width / 2 + (a + this.shift[0]) * gain,
      this.canvas.height / 2 - (b + this.shift[1]) * gain,
      d,
    ];
  }

  // Colours of the points: those of a pane, lit by the slope of the surface.
  paint(pixels, columns) {
    const light = lightOf(this);
    const count = this.rows * this.columns;
    const offset = Math.floor(this.every / 2);
    this.colors = new Uint8Array(4 * count);
    const { every } = this.capture;
    for (let at = 0; at < count; at += 1) {
      const y = Math.floor(at / this.columns);
      const x = at - y * this.columns;
      const from = Math.floor((offset + y * this.every) / every) * columns +
        Math.floor((offset + x * this.every) / every);
      for (let c = 0; c < 3; c += 1) {
        this.colors[4 * at + c] = Math.min(255, pixels[4 * from + c] * light[at]);
      }
      this.colors[4 * at + 3] = 255;
    }
    this.renderer.load(this);
  }

  indexOf(place) {
    const y = Math.min(this.rows - 1, Math.floor((place.y * this.capture.every) / this.every));
    const x = Math.min(this.columns - 1, Math.floor((place.x * this.capture.every) / this.every));
    const at = y * this.columns + x;
    return Number.isFinite(this.right[at] + this.height[at]) ? at : -1;
  }

  // The pixel of the scene whose point is drawn nearest to the mouse.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    const [mx, my] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const rows = this.matrix();
    const reach = (8 * scale) ** 2;
    let best = -1;
    let nearest = Infinity;
    for (let at = 0; at < this.right.length; at += 1) {
      if (!(this.height[at] === this.height[at])) continue;
      const [x, y, d] = this.seen(at, rows);
      const far = (x - mx) ** 2 + (y - my) ** 2;
      if (far > reach) continue;
      const rank = far / reach - 4 * d;
      if (rank < nearest) [nearest, best] = [rank, at];
    }
    if (best < 0) return null;
    const offset = Math.floor(this.every / 2);
    const y = Math.floor(best / this.columns);
    return {
      x: Math.floor((offset + (best - y * this.columns) * this.every) / this.capture.every),
      y: Math.floor((offset + y * this.every) / this.capture.every),
    };
  }

  fit() {
    const width = Math.round(this.canvas.clientWidth * (window.devicePixelRatio || 1));
    const [rows, columns] = this.capture.size;
    const height = Math.round((width * rows) / columns);
    if (width > 0 && (this.canvas.width !== width || this.canvas.height !== height)) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
  }

  draw(state) {
    const at = state.pointer ? this.indexOf(state.pointer) : -1;
    this.renderer.draw(this, at);
  }
}

const ends = (values) => {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};

// Triangles between neighbours that belong to one surface.
const facesOf = ({ rows, columns, right, down, height }) => {
  const steps = [];
  for (let at = 0; at + 1 < right.length; at += 7) {
    const step = Math.hypot(right[at + 1] - right[at], down[at + 1] - down[at]);
    if (step === step) steps.push(step);
  }
  steps.sort((a, b) => a - b);
  const most = JUMP * (steps[steps.length >> 1] || Infinity);
  const near = (a, b) =>
    Math.hypot(right[a] - right[b], down[a] - down[b], height[a] - height[b]) <= most;
  const faces = [];
  for (let y = 0; y + 1 < rows; y += 1) {
    for (let x = 0; x + 1 < columns; x += 1) {
      const a = y * columns + x;
      const [b, c, d] = [a + 1, a + columns, a + columns + 1];
      if (near(a, b) && near(a, c) && near(b, c)) faces.push(a, c, b);
      if (near(d, b) && near(d, c) && near(b, c)) faces.push(b, c, d);
    }
  }
  return new Uint32Array(faces);
};

// How brightly each point is lit, from the slope of its exaggerated neighbourhood.
const lightOf = (cloud) => {
  const { rows, columns, right, down, height, exaggeration } = cloud;
  const light = new Float32Array(right.length).fill(0.85);
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const at = y * columns + x;
      const [w, e] = [x > 0 ? at - 1 : at, x + 1 < columns ? at + 1 : at];
      const [n, s] = [y > 0 ? at - columns : at, y + 1 < rows ? at + columns : at];
      const dx = (exaggeration * (height[e] - height[w])) / (right[e] - right[w]);
      const dy = (exaggeration * (height[s] - height[n])) / (down[s] - down[n]);
      const lit = (0.45 * dx + 0.45 * dy + 0.77) / Math.hypot(dx, dy, 1);
      if (lit === lit) light[at] = 0.45 + 0.72 * Math.max(0, lit);
    }
  }
  return light;
};

const VERTEX = `#version 300 es
in vec3 place; in vec4 color; uniform mat4 view; uniform float size; uniform vec4 only;
out vec4 lit;
void main() { gl_Position = view * vec4(place, 1.0); gl_PointSize = size;
  lit = mix(color, vec4(only.rgb, 1.0), only.a); }`;
const FRAGMENT = `#version 300 es
precision mediump float; in vec4 lit; out vec4 drawn; void main() { drawn = lit; }`;

const compiled = (gl) => {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
};

const webRenderer = (cloud) => {
  const gl = cloud.canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
  const program = gl && !gl.isContextLost() && compiled(gl);
  if (!program) return null;
  gl.useProgram(program);
  const count = cloud.right.length;
  const places = new Float32Array(3 * count);
  for (let at = 0; at < count; at += 1) places.set(cloud.point(at).map((v) => (v === v ? v : 9)), 3 * at);
  const attribute = (name, size, type, normal) => {
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    const slot = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, size, type, normal, 0, 0);
    return buffer;
  };
  attribute("place", 3, gl.FLOAT, false);
  gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
  const colors = attribute("color", 4, gl.UNSIGNED_BYTE, true);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, cloud.faces, gl.STATIC_DRAW);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const [view, size, only] = ["view", "size", "only"].map(uniform);
  gl.enable(gl.DEPTH_TEST);
  return {
    name: "webgl2",
    release: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
    load: ({ colors: painted }) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, colors);
      gl.bufferData(gl.ARRAY_BUFFER, painted, gl.DYNAMIC_DRAW);
    },
    draw: (one, at) => {
      gl.viewport(0, 0, one.canvas.width, one.canvas.height);
      gl.clearColor(0.1, 0.115, 0.135, 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix4fv(view, false, clipMatrix(one));
      gl.uniform4f(only, 0, 0, 0, 0);
      gl.uniform1f(size, 1);
      gl.drawElements(gl.TRIANGLES, one.faces.length, gl.UNSIGNED_INT, 0);
      if (at < 0) return;
      gl.disable(gl.DEPTH_TEST);
      for (const [wide, grey] of [[13, 0], [9, 1]]) {
        gl.uniform4f(only, grey, grey, grey, 1);
        gl.uniform1f(size, wide);
        gl.drawArrays(gl.POINTS, at, 1);
      }
      gl.enable(gl.DEPTH_TEST);
    },
  };
};

// The view as WebGL's column-major matrix to clip space; depth is scaled to stay inside.
const clipMatrix = (cloud) => {
  const [a, b, d] = cloud.matrix();
  const gain = cloud.gain() / 1.28;
  const [gx, gy] = [(2 * gain) / cloud.canvas.width, (2 * gain) / cloud.canvas.height];
  const gz = -1 / (4 * Math.max(1, cloud.exaggeration));
  return new Float32Array([
    a[0] * gx, b[0] * gy, d[0] * gz, 0,
    a[1] * gx, b[1] * gy, d[1] * gz, 0,
    a[2] * gx, b[2] * gy, d[2] * gz, 0,
    cloud.shift[0] * gx, cloud.shift[1] * gy, 0, 1,
  ]);
};

// Without WebGL: every point a small square, the nearest wins.
const flatRenderer = () => ({
  name: "canvas",
  release: () => {},
  load: () => {},
  draw: (cloud, marked) => {
    const { width, height } = cloud.canvas;
    const context = cloud.canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer).fill(0xff231d1a);
    const depth = new Float32Array(width * height).fill(-Infinity);
    const painted = new Uint32Array(cloud.colors.buffer);
    const rows = cloud.matrix();
    const gain = cloud.gain() / 1.28;
    const wide = Math.max(1, Math.ceil((2.2 * gain) / Math.max(cloud.columns, cloud.rows)));
    for (let at = 0; at < painted.length; at += 1) {
      const [x, y, d] = cloud.seen(at, rows);
      if (d !== d) continue;
      const left = Math.max(0, Math.round(x - wide / 2));
      const top = Math.max(0, Math.round(y - wide / 2));
      for (let row = top; row < Math.min(height, top + wide); row += 1) {
        for (let column = left; column < Math.min(width, left + wide); column += 1) {
          const to = row * width + column;
          if (d > depth[to]) { depth[to] = d; pixels[to] = painted[at]; }
        }
      }
    }
    context.putImageData(picture, 0, 0);
    if (marked >= 0) mark(context, cloud.seen(marked, rows));
  },
});

const mark = (context, [x, y]) => {
  for (const [color, radius] of [["#000", 7], ["#fff", 5]]) {
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
};
