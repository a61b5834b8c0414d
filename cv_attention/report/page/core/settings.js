// What the configurations of several runs differ in.

import { report } from "./report.js";

let found = null;

// Dotted names of the settings that are not the same in all trained runs, in the order of the configuration.
export function differingSettings() {
  if (found) return found;
  const trained = report.runs.filter((run) => !run.export);
  const names = [...new Set(trained.flatMap((run) => Object.keys(run.settings ?? {})))];
  found = names.filter((name) => new Set(trained.map((run) => run.settings?.[name])).size > 1);
  return found;
}
