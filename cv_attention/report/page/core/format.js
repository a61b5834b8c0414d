// Numbers and names as text.

export function formatValue(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replaceAll("-", "−");
  const digits = size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

// The ends of a range, with as many digits as tell them apart.
export function formatEnds(low, high) {
  if (![low, high].every((value) => Number.isFinite(value))) return [formatValue(low), formatValue(high)];
  const size = Math.max(Math.abs(low), Math.abs(high));
  const span = high - low || size;
  if (!span) return ["0", "0"];
  const decimals = 2 - Math.floor(Math.log10(span));
  if (size >= 1e5 || decimals > 8) return [low, high].map((value) => asPower(value, span));
  return [low, high].map((value) => String(Number(value.toFixed(Math.max(0, decimals)))).replace("-", "−"));
}

function asPower(value, span) {
  if (!value) return "0";
  const digits = Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(span)) + 1;
  return value.toExponential(Math.min(9, Math.max(1, digits))).replaceAll("-", "−").replace("+", "");
}

// What runs from right to left, and characters that change directions.
const TURNING =
  /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

// A name among other words: its direction of writing does not change theirs. Others stay as they are, since not every
// program that opens a figure knows the marks.
export function isolated(name) {
  return TURNING.test(name) ? `\u2068${name}\u2069` : String(name);
}

export function formatCount(value) {
  if (value === null || value === undefined) return "–";
  const [size, unit] = [
    [1e12, " T"],
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ].find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

export function formatPercent(share, digits = 0) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(digits)} %`;
}

// Whether a metric of this name is a fraction, to be shown in percent.
export function isShare(name, value) {
  return /acc|top|pointing|exact|in_box|^((test|val)_)?cer$/.test(name) && value >= 0 && value <= 1;
}

// Epochs are counted from 1: the epoch with index 4 is the fifth.
export function epochName(epoch) {
  return epoch < 0 ? "before training" : `epoch ${epoch + 1}`;
}

// The epoch of a recording; a saliency export has none.
export function snapshotName(snapshot) {
  return snapshot.run.export ? "" : epochName(snapshot.epoch);
}

export function inWords(...parts) {
  return parts.filter(Boolean).join(", ");
}

// ".map" ends the name of every recorded submodule and carries no information. Saliency methods have their papers' names.
export function columnName(column) {
  if (Object.hasOwn(METHODS, column.title)) return METHODS[column.title];
  return column.title.replace(/(\.attention)?\.map$/, "") || column.title;
}

const METHODS = {
  grad_cam: "Grad-CAM", grad_cam_plus_plus: "Grad-CAM++", smooth_grad_cam_plus_plus: "Smooth Grad-CAM++",
  xgrad_cam: "XGrad-CAM", layer_cam: "LayerCAM", refine_cam: "Refine-CAM", hires_cam: "HiResCAM",
  finer_cam: "Finer-CAM", shapley_cam: "ShapleyCAM", eigen_cam: "EigenCAM", eigen_grad_cam: "EigenGradCAM",
  score_cam: "Score-CAM", ablation_cam: "Ablation-CAM", full_grad: "FullGrad", guided_grad_cam: "Guided Grad-CAM",
  guided_backprop: "Guided backprop", input_x_gradient: "Input × gradient", gradient: "Gradient",
  integrated_gradients: "Integrated gradients", expected_gradients: "Expected gradients", smooth_grad: "SmoothGrad",
  var_grad: "VarGrad", gradient_shap: "GradientSHAP", occlusion: "Occlusion", rise: "RISE", lime: "LIME",
  kernel_shap: "KernelSHAP", deep_lift: "DeepLIFT", lrp: "LRP", attn_lrp: "AttnLRP",
  attention_flow: "Attention flow", attention_rollout: "Attention rollout", block_maps: "Maps of the blocks",
  cam: "CAM", centre_bias: "Centre bias", deep_feature_factorisation: "Deep feature factorisation",
  extremal_perturbation: "Extremal perturbation", feature_ablation: "Feature ablation", fem: "FEM",
  grad_cam_elementwise: "Grad-CAM elementwise", gradient_attention: "Gradient attention",
  itti_koch_niebur: "Itti, Koch and Niebur", kpca_cam: "KPCA-CAM", le_grad: "LeGrad", random_map: "Random map",
  seg_eigen_cam: "SegEigenCAM", spectral_residual: "Spectral residual",
}; // as their papers write them; naming.py has the same

export function kindName(column) {
  const name = Object.hasOwn(METHODS, column.kind) ? METHODS[column.kind] : column.kind;
  return columnName(column).endsWith(name) ? "" : name;
}

const LITTLE = 0.01; // below this, a block hardly changes its input, or has nearly one factor for all places or channels

// How much the block of this column does: in the epoch of a snapshot on its images, or, where that was not recorded, at
// the end on validation images. {text, words, little}, or null if neither was measured.
export function usageOf(run, column, snapshot) {
  const known = snapshot?.blocks ?? {};
  const sites = (run.panels?.network?.sites ?? []).map((site) => [site.block, site]);
  const [, site] = [...Object.entries(known), ...sites].find(
    ([block]) => block && (column.title === block || column.title.startsWith(`${block}.`)),
  ) ?? [];
  if (!site || site.change === undefined) return null;
  const [axis, spread] = column.bars ? ["channels", site.over_channels] : ["positions", site.over_positions];
  const [changed, varies] = [formatPercent(site.change, 1), formatPercent(spread, 1)];
  return {
    text: spread === undefined ? `changes ${changed}` : `changes ${changed}, varies ${varies}`,
    words: `The block changes its input by ${changed}; its factor varies by ${varies} over ${axis}`,
    little: site.change < LITTLE || (spread ?? 1) < LITTLE,
  };
}

const METRIC_WORDS = {
  pointing: "Fraction of test images on which the maximum of Grad-CAM for the true class lies in the true box",
  pointing_attention:
    "Fraction of test images on which the largest weight of the attention pooling lies in the true box",
  cer: "Character error rate: errors in all texts that were read, per character of all true texts",
  exact: "Fraction of test images whose text was read without an error",
  word_accuracy: "1 minus the errors per word; of texts that are one word each, the fraction read without an error",
  attention_in_box:
    "Fraction of the characters of the test texts whose largest weight lies in a position that touches their box",
  glimpse_in_box: "Fraction of test images whose last glimpse has its centre in the true box",
  glimpse_in_box_chance: "Fraction of the image that the true box covers: the baseline for glimpse_in_box",
  map: "Mean over classes of the average precision: the area under the curve of precision and recall",
  auroc: "Mean over classes of the area under the ROC curve: how often an image with a class gets a higher score than one without",
  f1_macro: "Mean over classes of the F1 score, at a threshold of 0.5",
  f1_micro: "F1 score of the decisions of all classes together, at a threshold of 0.5",
  f1_macro_tuned: "Mean over classes of the F1 score, at the thresholds chosen on the validation split",
  f1_micro_tuned: "F1 score of all decisions together, at the thresholds chosen on the validation split",
  subset_accuracy: "Fraction of test images all of whose classes are right, at a threshold of 0.5",
  balanced_accuracy: "Mean over classes of the recall",
  mae: "Mean absolute error, in the units of the data",
  rmse: "Root of the mean squared error, in the units of the data",
  r2: "Share of the variance of the true numbers that is explained",
  pixels_seen: "Numbers that the network reads of an image, per pixel of the image; coarse ones are means of many pixels",
  pointing_chance: "Fraction of test images on which a random point lies in the true box: the baseline for pointing",
};

// One sentence on a test metric whose name is not self-explanatory, or nothing.
export function metricWords(name) {
  return METRIC_WORDS[name] ?? null;
}

export function metricName(name) {
  const words = name.replace(/[_/]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
