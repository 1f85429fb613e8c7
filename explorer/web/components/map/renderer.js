// Drawing the dots: WebGL2, or a plain canvas where a browser has none. Both take the same calls.

const VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec2 place;
layout(location = 1) in uint code;
layout(location = 2) in uint chosen;
uniform vec2 centre, scale;
uniform float size, strength;
uniform bool choosing, front;
uniform vec4 faint;
uniform sampler2D palette;
flat out vec4 tint;
void main() {
  vec4 colour = texelFetch(palette, ivec2(int(code), 0), 0);
  bool hidden = colour.a == 0.0 || (choosing && (chosen != 0u) != front);
  gl_Position = hidden || isnan(place.x) ? vec4(2.0, 2.0, 2.0, 1.0) : vec4((place - centre) * scale, 0.0, 1.0);
  gl_PointSize = choosing && !front ? max(size * 0.8, 1.0) : size;
  tint = choosing && !front ? faint : vec4(colour.rgb, strength);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 tint;
uniform float size;
out vec4 colour;
void main() {
  float from = length(gl_PointCoord - 0.5) * 2.0;
  float soft = 2.0 / max(size, 2.0);
  float cover = size < 2.5 ? 1.0 : 1.0 - smoothstep(1.0 - soft, 1.0, from);
  colour = vec4(tint.rgb, 1.0) * tint.a * cover;
}`;

const SHEET_VERTEX = `#version 300 es
out vec2 at;
void main() {
  at = vec2(float((gl_VertexID << 1) & 2), float(gl_VertexID & 2));
  gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
}`;
const SHEET_FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D sheet;
out vec4 colour;
void main() {
  vec4 found = texture(sheet, vec2(at.x, 1.0 - at.y));
  colour = vec4(found.rgb * found.a, found.a);
}`;
const MOST_PIXELS = 1500000;

function makeRenderer(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true, powerPreference: "high-performance" });
  if (!gl) return new PlainRenderer(canvas);
  try {
    return new GpuRenderer(canvas, gl);
  } catch (error) {
    console.warn(`the map is drawn without the graphics card: ${error.message}`);
    const fresh = canvas.cloneNode(); // a canvas that has been asked for one kind of context gives no other
    canvas.replaceWith(fresh);
    return new PlainRenderer(fresh);
  }
}

class GpuRenderer {
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.kind = "webgl2";
    this.build();
  }

  /** Everything that lives on the graphics card; called again when the card has lost it. */
  build() {
    const gl = this.gl;
    this.dots = this.program(VERTEX, FRAGMENT);
    this.sheet = this.program(SHEET_VERTEX, SHEET_FRAGMENT);
    this.nothing = gl.createVertexArray(); // the sheet needs no buffers, and must not be refused for want of the dots'
    this.density = new Density();
    this.uniforms = Object.fromEntries(
      ["centre", "scale", "size", "strength", "choosing", "front", "faint", "palette"].map((name) => [name, gl.getUniformLocation(this.dots, name)]));
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    for (const place of [0, 1, 2]) gl.enableVertexAttribArray(place);
    this.textures = [gl.NEAREST, gl.LINEAR].map((filter) => {
      const texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, texture);
      for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, filter);
      for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
      return texture;
    });
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  program(vertex, fragment) {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  restore(points, palette) {
    this.build();
    this.setPoints(points);
    this.setPalette(palette);
  }

  /** The card has the points in the order of their places, so that it is asked only for those in view. */
  setPoints(points) {
    this.points = points;
    this.placed = new Placed(points);
    this.sent = [false, false, false];
  }

  setCodes() {
    this.placed.setCodes();
    this.sent[1] = false;
  }

  setChosen() {
    this.placed.setChosen();
    this.sent[2] = false;
  }

  /** What the card lacks: nothing is sent before single dots are drawn. */
  send() {
    const { gl } = this;
    const { xy, codes, chosen } = this.placed;
    [xy, codes, chosen].forEach((array, place) => {
      if (!array || this.sent[place]) return;
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[place]);
      gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
      this.sent[place] = true;
    });
  }

  /** palette: 256 × RGBA; alpha 0 hides a code. */
  setPalette(palette) {
    const gl = this.gl;
    this.palette = palette;
    gl.bindTexture(gl.TEXTURE_2D, this.textures[0]);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, palette);
  }

  /** `step` > 1 draws every step-th point only: enough while the map is moving. */
  draw(view, look, step) {
    const { gl, points } = this;
    if (!points || gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (Density.wanted(points, view)) this.drawSheet(view, look, step);
    else this.drawDots(view, look, Math.min(step, 31));
  }

  drawSheet(view, look, step) {
    const { gl, canvas } = this;
    const part = Math.min(1, Math.sqrt(MOST_PIXELS / (canvas.width * canvas.height)));
    const [width, height] = [Math.max(1, Math.round(canvas.width * part)), Math.max(1, Math.round(canvas.height * part))];
    const pixels = this.density.paint(this.placed, this.palette, view, width, height, look.faint, step);
    gl.useProgram(this.sheet);
    gl.bindVertexArray(this.nothing);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[1]);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindVertexArray(null);
  }

  drawDots(view, look, stride) {
    const { gl, points, uniforms } = this;
    this.send();
    gl.useProgram(this.dots);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[0]);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[0]);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 8 * stride, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[1]);
    gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_BYTE, stride, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[points.chosen ? 2 : 1]);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, stride, 0);
    gl.uniform2f(uniforms.centre, view.x, view.y);
    gl.uniform2f(uniforms.scale, (2 * view.k) / view.width, (2 * view.k) / view.height);
    gl.uniform1f(uniforms.size, look.size);
    gl.uniform1f(uniforms.strength, look.strength);
    gl.uniform4f(uniforms.faint, ...look.faint.map((part) => part / 255), look.faintness);
    gl.uniform1i(uniforms.palette, 0);
    gl.uniform1i(uniforms.choosing, points.chosen ? 1 : 0);
    for (const front of points.chosen ? [0, 1] : [0]) {
      gl.uniform1i(uniforms.front, front);
      points.spans(view.bounds(look.size), (rows, from, to) => {
        const first = Math.ceil(from / stride);
        const count = Math.ceil(to / stride) - first;
        if (count > 0) gl.drawArrays(gl.POINTS, first, count);
      });
    }
  }

  destroy() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** Squares painted straight into the picture's memory: slower than a graphics card, but it needs none. */
class PlainRenderer {
  constructor(canvas) {
    this.canvas = canvas;
    this.kind = "plain";
    this.density = new Density();
    this.context = canvas.getContext("2d");
    this.colours = new Uint8Array(1024);
  }

  setPoints(points) {
    this.points = points;
    this.placed = points.n > CROWDED ? new Placed(points) : undefined; // for the density alone
  }

  setCodes() {
    this.placed?.setCodes();
  }

  setChosen() {
    this.placed?.setChosen();
  }

  setPalette(palette) {
    this.colours = palette;
  }

  draw(view, look, step) {
    const { points, colours, canvas } = this;
    const { width, height } = canvas;
    if (!points || !width || !height) return;
    if (Density.wanted(points, view)) {
      const sheet = this.density.paint(this.placed, colours, view, width, height, look.faint, step);
      this.context.putImageData(new ImageData(sheet, width, height), 0, 0);
      return;
    }
    const image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const ratio = width / view.width;
    const side = Math.max(1, Math.round(look.size * 0.85));
    const paint = (front) => {
      for (let row = 0; row < points.n; row += step) {
        const code = points.codes[row];
        if (colours[4 * code + 3] === 0) continue;
        const chosen = !points.chosen || points.chosen[row] === 1;
        if (chosen !== front) continue;
        const left = Math.round(((points.xy[2 * row] - view.x) * view.k + view.width / 2) * ratio - side / 2);
        const top = Math.round((view.height / 2 - (points.xy[2 * row + 1] - view.y) * view.k) * ratio - side / 2);
        if (!(left >= 0 && top >= 0 && left + side < width && top + side < height)) continue;
        const [r, g, b] = front ? colours.subarray(4 * code, 4 * code + 3) : look.faint;
        const value = ((front ? 235 : Math.round(255 * look.faintness)) << 24) | (b << 16) | (g << 8) | r;
        for (let line = top; line < top + side; line++) pixels.fill(value, line * width + left, line * width + left + side);
      }
    };
    if (points.chosen) paint(false);
    paint(true);
    this.context.putImageData(image, 0, 0);
  }

  restore() {}

  destroy() {}
}
