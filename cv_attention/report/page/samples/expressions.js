// Conditions that readers type, such as "confidence > 0.9 and not right and [Grad-CAM: sparseness] < 0.5". They are parsed
// here, since the page's policy evaluates no text. The signs of pandas, FiftyOne and JavaScript mean the same: && | ! ~.

const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)(%?)|\[([^\]]*)\]|"([^"]*)"|'([^']*)'|([A-Za-z_][\w.]*)|(<=|>=|!=|<>|===?|&&?|\|\|?|[-+*/()<>=!~])|(\S))/gy;
const SAME_SIGN = { "==": "=", "===": "=", "<>": "!=", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "~": "not" };
const LITERALS = { true: true, false: false };

function tokens(text) {
  const found = [];
  for (const [, number, percent, bracketed, double, single, word, sign, other] of text.matchAll(TOKEN)) {
    const quoted = double ?? single;
    if (other !== undefined) throw new Error(`"${other}" has no meaning here`);
    if (number !== undefined) found.push({ kind: "value", value: Number(number) / (percent ? 100 : 1) });
    else if (quoted !== undefined) found.push({ kind: "value", value: quoted });
    else if (bracketed !== undefined) found.push({ kind: "name", name: bracketed.trim() });
    else if (/^(and|or|not)$/i.test(word)) found.push({ kind: "sign", sign: word.toLowerCase() });
    else if (/^(true|false)$/i.test(word)) found.push({ kind: "value", value: LITERALS[word.toLowerCase()] });
    else if (word !== undefined) found.push({ kind: "name", name: word });
    else found.push({ kind: "sign", sign: SAME_SIGN[sign] ?? sign });
  }
  return found;
}

const unknown = (value) => value === null || value === undefined;

// A class that is called "7" equals the number 7.
const number = (value) => (typeof value === "string" && !value.trim() ? NaN : Number(value));
const equal = (a, b) => a === b || (typeof a !== typeof b && number(a) === number(b));
const COMPARED = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "=": equal,
  "!=": (a, b) => !equal(a, b),
};
const CALCULATED = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b };

// A comparison or sum with an unknown value is unknown.
function apply(calculate, left, right) {
  return (sample) => {
    const [a, b] = [left(sample), right(sample)];
    return unknown(a) || unknown(b) ? null : calculate(a, b);
  };
}

// Parses a condition. `resolve(name)` returns a function of a sample, or undefined for an unknown name, for which
// `suggest(name)` returns what may have been meant, or nothing.
// Returns that function of a sample; an unknown result counts as not fulfilled. Throws an error with a sentence.
export function parseCondition(text, resolve, suggest = () => "") {
  const all = tokens(text);
  let at = 0;
  const sign = () => (all[at]?.kind === "sign" ? all[at].sign : null);
  const take = (...signs) => (signs.includes(sign()) ? all[at++].sign : null);

  function binary(inner, table) {
    let left = inner();
    for (let op = take(...Object.keys(table)); op; op = take(...Object.keys(table))) left = apply(table[op], left, inner());
    return left;
  }
  const pick = (table, ...signs) => Object.fromEntries(signs.map((one) => [one, table[one]]));
  const product = () => binary(factor, pick(CALCULATED, "*", "/"));
  const sum = () => binary(product, pick(CALCULATED, "+", "-"));

  function relation() {
    const left = sum();
    const op = take(...Object.keys(COMPARED));
    return op ? apply(COMPARED[op], left, sum()) : left;
  }
  function negation() {
    if (!take("not")) return relation();
    const inner = negation();
    return (sample) => (unknown(inner(sample)) ? null : !inner(sample));
  }
  function conjunction() {
    const parts = [negation()];
    while (take("and")) parts.push(negation());
    return parts.length === 1 ? parts[0] : (sample) => parts.every((part) => part(sample));
  }
  function condition() {
    const parts = [conjunction()];
    while (take("or")) parts.push(conjunction());
    return parts.length === 1 ? parts[0] : (sample) => parts.some((part) => part(sample));
  }
  function factor() {
    if (take("(")) {
      const inner = condition();
      if (!take(")")) throw new Error("a bracket is not closed");
      return inner;
    }
    if (take("-")) return apply((a, b) => a * b, () => -1, factor());
    const token = all[at++];
    if (!token) throw new Error("the condition ends too early");
    if (token.kind === "sign") throw new Error(`"${token.sign}" has no meaning here`);
    if (token.kind === "value") return () => token.value;
    const known = resolve(token.name);
    if (!known) {
      const meant = suggest(token.name);
      throw new Error(`there is no "${token.name}"${meant ? `; did you mean ${meant}?` : ""}`);
    }
    return known;
  }
  const parsed = condition();
  if (at < all.length) throw new Error(`"${all[at].sign ?? all[at].name ?? all[at].value}" has no meaning here`);
  return (sample) => parsed(sample) === true;
}
