// Deletes and inserts pixels in the same way as the insertion and deletion curves.

import { resample } from "../drawing/heatmap.js";

// Ranks of the pixels, 0 for the most salient; ties keep the order of pixels.
export function pixelRanks(map, height, width) {
  const { values } = resample(map, height, width);
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  const ranks = new Uint32Array(order.length);
  order.forEach((pixel, place) => (ranks[pixel] = place));
  return ranks;
}

// One colour channel, blurred along rows and columns; outside of the image it is the mean colour.
function blurChannel(values, height, width, kernel) {
  const reach = kernel.length >> 1;
  const pass = (from, along, across, stride, jump) => {
    const into = new Float32Array(from.length);
    for (let line = 0; line < across; line++) {
      for (let at = 0; at < along; at++) {
        let sum = 0;
        for (let k = -reach; k <= reach; k++) {
          if (at + k < 0 || at + k >= along) continue;
          sum += kernel[k + reach] * from[line * jump + (at + k) * stride];
        }
        into[line * jump + at * stride] = sum;
      }
    }
    return into;
  };
  return pass(pass(values, height, width, width, 1), width, height, 1, width);
}

function blurred(pixels, height, width, mean, kernel) {
  const out = new Uint8ClampedArray(pixels.length).fill(255);
  for (let channel = 0; channel < 3; channel++) {
    const away = Float32Array.from({ length: height * width }, (_, i) => pixels[4 * i + channel] - 255 * mean[channel]);
    const soft = blurChannel(away, height, width, kernel);
    for (let i = 0; i < soft.length; i++) out[4 * i + channel] = soft[i] + 255 * mean[channel];
  }
  return out;
}

function meanColoured(length, mean) {
  const out = new Uint8ClampedArray(length).fill(255);
  for (let i = 0; i < length; i += 4) for (let c = 0; c < 3; c++) out[i + c] = Math.round(255 * mean[c]);
  return out;
}

// The image with `count` pixels replaced by the mean colour, or inserted into its blurred version.
export function maskImage(image, ranks, count, kind, { mean, kernel }) {
  const { width, height, data } = image;
  const other = kind === "deletion" ? meanColoured(data.length, mean) : blurred(data, height, width, mean, kernel);
  const [first, rest] = kind === "deletion" ? [other, data] : [data, other];
  const out = new ImageData(width, height);
  for (let i = 0; i < ranks.length; i++) {
    const from = ranks[i] < count ? first : rest;
    for (let c = 0; c < 4; c++) out.data[4 * i + c] = from[4 * i + c];
  }
  return out;
}
