// Tables for other programs, as RFC 4180 writes them.

// Prefixes text that a spreadsheet would interpret as a formula with an apostrophe.
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" ? String(value) : String(value).replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvOf(lines) {
  return `${lines.map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}
