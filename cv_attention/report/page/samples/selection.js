// Selects and sorts the listed samples: pure functions of the run, the epoch and the reader's choices.

const SURE = 0.9;

// Flags derived from predictions, in addition to recorded flags and the reader's tags.
const FLAGS = {
  "prediction changed": (run, snapshot, i) => {
    const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
    return Boolean(before) && before.predictions[i] !== snapshot.predictions[i];
  },
  forgotten: (run, snapshot, i) => {
    if (isRight(run, snapshot, i) !== false) return false;
    return run.epochs.some((one) => one.epoch < snapshot.epoch && isRight(run, one, i));
  },
  "never right": (run, snapshot, i) => run.epochs.every((one) => isRight(run, one, i) === false),
  "confident and wrong": (run, snapshot, i) =>
    isRight(run, snapshot, i) === false && snapshot.confidence[i] >= SURE,
};

// True, false, or null if the class or the prediction is unknown.
function isRight(run, snapshot, i) {
  const { label } = run.probes[i];
  const predicted = snapshot.predictions[i];
  return label === null || predicted === null || predicted === undefined ? null : predicted === label;
}

// Flags and orders that compare an epoch with previous ones.
const OF_THE_PAST = ["prediction changed", "forgotten", "never right", "loss-change", "flips"];

function fitsRun(run, name) {
  return run.epochs.length > 1 || !OF_THE_PAST.includes(name);
}

function countEach(words) {
  const counts = new Map();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

// Unique keys of a run's samples: their names; with the class, and finally the number, for runs recorded before
// names included folders, in which several may have the same name.
function sampleKeys(run) {
  if (!run.sampleKeys) {
    const names = run.probes.map((probe, i) => probe.name ?? String(i));
    const known = countEach(names);
    const classed = names.map((name, i) =>
      known.get(name) === 1 ? name : `${className(run, run.probes[i].label)}/${name}`,
    );
    const again = countEach(classed);
    run.sampleKeys = classed.map((name, i) => (again.get(name) === 1 ? name : `${name} (${i + 1})`));
  }
  return run.sampleKeys;
}

// The name of a sample's file, or null.
function fileName(run, i) {
  return run.probes[i].name ? sampleKeys(run)[i] : null;
}

function sampleName(run, i) {
  return fileName(run, i) ?? `image ${i + 1}`;
}

// The main label of a sample: its true class, or its name if that is unknown.
function sampleTitle(run, i) {
  const { label } = run.probes[i];
  return label === null ? sampleName(run, i) : className(run, label);
}

function flagsOf(run, snapshot, i) {
  const computed = snapshot ? Object.keys(FLAGS).filter((name) => fitsRun(run, name) && FLAGS[name](run, snapshot, i)) : [];
  return [...(run.probes[i].flags ?? []), ...computed];
}

function hasFlag(run, snapshot, i, flag) {
  if (flag === "selected") return state.selected.includes(i);
  if (flag === "noted") return Boolean(noteOf(run, i));
  if (flag.startsWith("tag:")) return noteOf(run, i)?.tags.includes(flag.slice(4)) ?? false;
  if (FLAGS[flag]) return Boolean(snapshot) && FLAGS[flag](run, snapshot, i);
  return run.probes[i].flags?.includes(flag) ?? false;
}

function isFlag(run, flag) {
  if (["", "selected", "noted"].includes(flag)) return true;
  if (flag.startsWith("tag:")) return knownTags(run).includes(flag.slice(4));
  if (FLAGS[flag]) return fitsRun(run, flag);
  return run.probes.some((probe) => probe.flags?.includes(flag));
}

// All of these must hold.
function sampleTests(run, snapshot) {
  const tests = [];
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    tests.push((i) => {
      const text = `${sampleName(run, i)} ${i + 1}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }
  if (state.label !== null) tests.push((i) => run.probes[i].label === state.label);
  if (state.flag) tests.push((i) => hasFlag(run, snapshot, i, state.flag));
  if (!snapshot) return tests;
  if (state.show !== "all") tests.push((i) => isRight(run, snapshot, i) === (state.show === "correct"));
  if (state.predicted !== null) tests.push((i) => snapshot.predictions[i] === state.predicted);
  if (state.least > 0 || state.most < 1) {
    tests.push((i) => snapshot.confidence[i] >= state.least && snapshot.confidence[i] <= state.most);
  }
  return tests;
}

// The sort keys of samples: one value per sample, null if unknown.
const SORTS = {
  loss: { text: "loss", values: (run, snapshot) => snapshot.losses },
  "loss-change": {
    text: "change of the loss since the previous logged epoch",
    values: (run, snapshot) => {
      const before = run.epochs[run.epochs.indexOf(snapshot) - 1];
      return snapshot.losses.map((loss, i) => {
        const earlier = before?.losses[i] ?? null;
        return loss === null || earlier === null ? null : loss - earlier;
      });
    },
  },
  confidence: { text: "confidence", values: (run, snapshot) => snapshot.confidence },
  true: { text: "probability of the true class", values: (run, snapshot) => snapshot.true },
  flips: {
    text: "how often the prediction changed",
    values: (run) =>
      run.probes.map(
        (_, i) =>
          run.epochs.filter((one, e) => e && one.predictions[i] !== run.epochs[e - 1].predictions[i]).length,
      ),
  },
  label: { text: "true class", values: (run) => run.probes.map((probe) => probe.label) },
};

function isSort(run, name) {
  if (["", "name"].includes(name)) return true;
  if (name in SORTS) return fitsRun(run, name);
  return /^\d+:./.test(name) && Boolean(run.columns[Number(name.split(":")[0])]);
}

const measuresHere = new WeakMap(); // snapshot -> its measures, once loaded

// The measures of the maps in one epoch; undefined while loading, after which `change` is called.
function measuresNow(snapshot) {
  if (!measuresHere.has(snapshot)) {
    measuresHere.set(snapshot, undefined);
    loadMeasures(snapshot)
      .catch(() => ({}))
      .then((measures) => {
        measuresHere.set(snapshot, measures);
        change({ measures: true });
      });
  }
  return measuresHere.get(snapshot);
}

// The sort value of every sample; null for the recorded order.
function sortValues(run, snapshot) {
  if (!state.sort || !snapshot) return null;
  if (state.sort === "name") return null;
  if (SORTS[state.sort]) return SORTS[state.sort].values(run, snapshot);
  const [column, ...name] = state.sort.split(":");
  const about = run.columns[Number(column)];
  const nearest = about && nearestSnapshot(run, state.epoch, about);
  return (nearest && measuresNow(nearest)?.[column]?.[name.join(":")]) ?? null;
}

// Indices of the listed samples in order; unknown values come last in both directions.
function listSamples(run) {
  const snapshot = nearestSnapshot(run, state.epoch);
  const tests = sampleTests(run, snapshot);
  const listed = [];
  for (let i = 0; i < run.probes.length; i++) if (tests.every((test) => test(i))) listed.push(i);
  const sign = state.down ? -1 : 1;
  if (state.sort === "name") {
    const order = new Intl.Collator(undefined, { numeric: true });
    return listed.sort((a, b) => sign * order.compare(sampleName(run, a), sampleName(run, b)));
  }
  const values = sortValues(run, snapshot);
  if (!values) return listed;
  const known = (i) => values[i] !== null && values[i] !== undefined;
  return listed.sort((a, b) => {
    if (known(a) !== known(b)) return known(a) ? -1 : 1;
    return known(a) ? sign * (values[a] - values[b]) || a - b : a - b;
  });
}
