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
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.uniforms = Object.fromEntries(
      ["centre", "scale", "size", "strength", "choosing", "front", "faint", "palette"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    for (const place of [0, 1, 2]) gl.enableVertexAttribArray(place);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  restore(points, palette) {
    this.build();
    this.setPoints(points);
    this.setPalette(palette);
  }

  setPoints(points) {
    this.points = points;
    this.upload(0, points.xy);
    this.setCodes();
    this.setChosen();
  }

  setCodes() {
    this.upload(1, this.points.codes);
  }

  setChosen() {
    if (this.points.chosen) this.upload(2, this.points.chosen);
  }

  upload(place, array) {
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[place]);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
  }

  /** palette: 256 × RGBA; alpha 0 hides a code. */
  setPalette(palette) {
    const gl = this.gl;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, palette);
  }

  /** `step` > 1 draws every step-th point only: enough while the map is moving. */
  draw(view, look, step) {
    const { gl, points, uniforms } = this;
    if (!points || gl.isContextLost()) return;
    const stride = Math.min(step, 31);
    const count = Math.ceil(points.n / stride);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
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
      gl.drawArrays(gl.POINTS, 0, count);
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
    this.context = canvas.getContext("2d");
    this.colours = new Uint8Array(1024);
  }

  setPoints(points) {
    this.points = points;
  }

  setCodes() {}

  setChosen() {}

  setPalette(palette) {
    this.colours = palette;
  }

  draw(view, look, step) {
    const { points, colours, canvas } = this;
    const { width, height } = canvas;
    if (!points || !width || !height) return;
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
