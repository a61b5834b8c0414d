// Colour tables: a number of evenly spaced colours each, as rrggbb one after another, with straight lines between; the
// same as in Python's figures. viridis, inferno and magma (S. van der Walt, N. Smith) and cividis (J. Nuñez et al.) are
// perceptually uniform and dedicated to the public (CC0). The two for signed maps run over white, with the
// lightness of OKLab decreasing evenly to both sides; their ends are distinguishable for the colour-blind.

import { state } from "../core/state.js";

const ANCHORS = {
  viridis:
    "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d" +
    "33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa83" +
    "28ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11f" +
    "d8e219e5e419f1e51dfde725",
  inferno:
    "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e" +
    "71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337" +
    "e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156" +
    "f2ea69f2f27df5f992fcffa4",
  magma:
    "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c5a167e621980" +
    "6a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75ca3e72d2426fd9466be04c67" +
    "e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16efeaa74feb47bfebd82fec68afecf92fed89a" +
    "fde2a3fdebacfcf4b6fcfdbf",
  cividis:
    "00224e00255300275800295d002b62002d68002f6d0031700533710f35701637701c396f213b6e263d6e2a3f6d2e416d" +
    "32436d35456c39486c3c4a6c3f4c6c424e6c45506c48526c4b546c4e566c51586d545a6d565c6d595e6e5c616e5e636f" +
    "61656f646770666970696b716c6d726e6f737172747374757676767878777b7a787e7c78807f78838179868379898578" +
    "8c88788f8a78928c78948e779791779a93769d9576a09875a39a74a69c74a99f73aca172afa471b3a670b6a96fb9ab6d" +
    "bcae6cbfb06bc2b369c5b568c8b866ccba64cfbd62d2c060d5c25ed9c55cdcc859dfca57e2cd54e6d051e9d34eedd54a" +
    "f0d846f3db42f7de3efbe138fee434fee838",
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

const gradients = new Map();

// The table as a CSS gradient, for colour bars.
export function gradient(name) {
  if (!gradients.has(name)) {
    const colours = ANCHORS[name].match(/.{6}/g);
    gradients.set(name, `linear-gradient(to right, ${colours.map((colour) => `#${colour}`).join(", ")})`);
  }
  return gradients.get(name);
}
