// Where dots would cover one another: how many there are at each place of the screen, and of what colours.

const CROWDED = 150000;
const COUNTED = 1024;

/** A picture of the points in view, straight alpha, made again at every frame; a million points take some 15 ms. */
class Density {
  constructor() {
    this.tally = new Uint32Array(0);
    this.pixels = new Uint8ClampedArray(0);
  }

  /** Are so many points in view that single dots say nothing? */
  static wanted(points, view) {
    return points.n > CROWDED && points.roughly(view.bounds()) > CROWDED;
  }

  /** RGBA of width × height pixels. `placed`: see Placed. `palette`: 256 × RGBA, alpha 0 hides a code; `faint`: the colour of what is not chosen. */
  paint(placed, palette, view, width, height, faint, step) {
    const cells = width * height;
    if (this.pixels.length !== 4 * cells) {
      this.tally = new Uint32Array(5 * cells);
      this.pixels = new Uint8ClampedArray(4 * cells);
    } else {
      this.tally.fill(0);
    }
    this.count(placed, palette, view, width, height, step);
    this.tone(cells, faint);
    return this.pixels;
  }

  /** Five numbers a pixel: points (chosen ones where some are), their red, green and blue, and points that are not chosen. */
  count(placed, palette, view, width, height, step) {
    const { xy, codes, chosen } = placed;
    const { tally } = this;
    const scaleX = (view.k * width) / view.width;
    const scaleY = (view.k * height) / view.height;
    const left = view.x - width / 2 / scaleX;
    const top = view.y + height / 2 / scaleY;
    placed.points.spans(view.bounds(), (_, from, to) => {
      for (let at = from; at < to; at += step) {
        const colour = 4 * codes[at];
        if (palette[colour + 3] === 0) continue;
        const x = Math.floor((xy[2 * at] - left) * scaleX);
        const y = Math.floor((top - xy[2 * at + 1]) * scaleY);
        if (x < 0 || y < 0 || x >= width || y >= height) continue;
        const place = 5 * (y * width + x);
        if (chosen !== null && chosen[at] === 0) {
          tally[place + 4]++;
          continue;
        }
        tally[place]++;
        tally[place + 1] += palette[colour];
        tally[place + 2] += palette[colour + 1];
        tally[place + 3] += palette[colour + 2];
      }
    });
  }

  /** The more points, the stronger, by the logarithm: a lonely point is seen, and a heap still shows its core. */
  tone(cells, faint) {
    const { tally, pixels } = this;
    const strength = this.strengths();
    for (let cell = 0, place = 0, out = 0; cell < cells; cell++, place += 5, out += 4) {
      const count = tally[place];
      const behind = tally[place + 4];
      if (count > 0) {
        pixels[out] = tally[place + 1] / count;
        pixels[out + 1] = tally[place + 2] / count;
        pixels[out + 2] = tally[place + 3] / count;
        pixels[out + 3] = strength[count < COUNTED ? count : COUNTED - 1];
      } else if (behind > 0) {
        pixels[out] = faint[0];
        pixels[out + 1] = faint[1];
        pixels[out + 2] = faint[2];
        pixels[out + 3] = 0.4 * strength[behind < COUNTED ? behind : COUNTED - 1];
      } else {
        pixels[out + 3] = 0;
      }
    }
  }

  /** Alpha by count; full where only one place in two hundred has more. */
  strengths() {
    const { tally } = this;
    const often = new Uint32Array(COUNTED);
    let filled = 0;
    for (let place = 0; place < tally.length; place += 5) {
      const count = tally[place] || tally[place + 4];
      if (!count) continue;
      often[count < COUNTED ? count : COUNTED - 1]++;
      filled++;
    }
    let most = COUNTED - 1;
    for (let above = 0; most > 4 && above + often[most] < filled / 200; most--) above += often[most];
    return Uint8Array.from({ length: COUNTED }, (_, count) => 255 * Math.min(1, 0.34 + (0.66 * Math.log2(count)) / Math.log2(most)));
  }
}
