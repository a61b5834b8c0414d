// The data of the page: its own script, which runs before this one, defines it.

export const report = globalThis.cvAttentionReport ?? { runs: [] };
for (const run of report.runs) for (const snapshot of run.epochs) snapshot.run = run;
