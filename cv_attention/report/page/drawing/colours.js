// Colour tables: a number of evenly spaced colours each, as rrggbb one after another, with straight lines
// between. viridis, inferno and magma (S. van der Walt, N. Smith) and cividis (J. Nuñez et al.) are
// perceptually uniform and dedicated to the public (CC0). The two for signed maps run over white, with the
// lightness of OKLab decreasing evenly to both sides; their ends are distinguishable for the colour-blind.

import { state } from "../core/state.js";

const ANCHORS = {
  viridis:
    "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d" +
    "2f6b8e2c728e297a8e26828e23898e21908c1f978b1f9f8821a68527ad8131b57b" +
    "3ebc744dc26c5cc8636ece5882d34d95d840aadc32c0df25d5e21aeae51afde725",
  inferno:
    "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b56106e63156e70196e" +
    "7d1e6d89226a962766a32c61af315bbb3654c63d4dd14545da4f3ce35932eb6529" +
    "f1721ef67f14f98c0afb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4",
  magma:
    "0000040303120a0822130d341d114729115a36106b440f7650127c5d177f691c81" +
    "7621818226818f2a819c2e7fa9337db6367ac33b75cf4070db476ae65164ee5c5e" +
    "f46a5cf9785dfb8861fd9668fea571feb47bfec287fed194fde0a1fceeb0fcfdbf",
  cividis:
    "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d" +
    "5a5f6e61656f686a716f70737676767c7c788381798b8778928d789a9376a29975" +
    "aaa073b3a670bbad6dc3b369ccba64d4c15fddc858e6d051efd748f8df3cfee838",
  grey: "000000ffffff",
  "blue-red":
    "235b9e2063b11c6bc52275d3307fdc3e89e44c93ea5b9df06aa7f47ab1f78bbbfa" +
    "9cc5fbadcffbbfd9fbd1e2f9e3ecf7f5f5f5f7e7e2f8d8d0f8cabef7bcadf5ae9c" +
    "f2a08bef927bea856ce4785ddd6b4fd55e41cc5335c34729b54023a43e25933b26",
  "purple-green":
    "6a2292742e9d7e39a88844b39250bd9c5cc6a569ceae76d6b783dcbf91e2c89fe7" +
    "d0adebd7bbeedfc9f0e6d8f2eee6f4f5f5f5e2ede4d0e5d3bdddc2abd5b299cca2" +
    "87c39375ba8463b17652a868409e5b2d944e178a4200803700762d006c22006117",
};

const tables = new Map();

// 256 colours, (256 * 3) bytes.
export function colourTable(name) {
  if (tables.has(name)) return tables.get(name);
  const anchors = ANCHORS[name].match(/../g).map((pair) => Number.parseInt(pair, 16));
  const last = anchors.length / 3 - 1;
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * last;
    const left = Math.min(last - 1, Math.floor(at));
    for (let c = 0; c < 3; c++) {
      const from = anchors[3 * left + c];
      table[3 * i + c] = Math.round(from + (at - left) * (anchors[3 * left + 3 + c] - from));
    }
  }
  tables.set(name, table);
  return table;
}

export function tableOf(column) {
  return column.signed ? state.signed : state.colours;
}

// The table as a CSS gradient, for colour bars.
export function gradient(name) {
  const colours = ANCHORS[name].match(/.{6}/g);
  return `linear-gradient(to right, ${colours.map((colour) => `#${colour}`).join(", ")})`;
}
