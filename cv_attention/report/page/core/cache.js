// Keeps the most recently used values, up to a number of bytes.

// load(key) promises {value, bytes}. `now` returns a loaded value, or undefined.
export function makeCache(budget, load) {
  const kept = new Map(); // key -> {promise, value, bytes}, least recently used first
  let total = 0;

  function trim() {
    for (const [key, entry] of kept) {
      if (total <= budget) return;
      if (entry.value === undefined) continue; // still loading
      total -= entry.bytes;
      kept.delete(key);
    }
  }

  function touch(key) {
    const entry = kept.get(key);
    if (entry) {
      kept.delete(key);
      kept.set(key, entry);
    }
    return entry;
  }

  function get(key, ...about) {
    const known = touch(key);
    if (known) return known.promise;
    const entry = { value: undefined, bytes: 0 };
    entry.promise = load(key, ...about).then(
      ({ value, bytes }) => {
        Object.assign(entry, { value, bytes });
        total += bytes;
        trim();
        return value;
      },
      (error) => {
        kept.delete(key);
        throw error;
      },
    );
    kept.set(key, entry);
    return entry.promise;
  }
  return { get, now: (key) => touch(key)?.value };
}
