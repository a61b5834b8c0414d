// Which two arms are compared by image: A and B of one recipe, with the seeds that both were trained with.

import { select } from "../core/controls.js";
import { aText } from "../core/fields.js";
import { report } from "../core/report.js";
import { addField, state } from "../core/state.js";

addField("recipe", aText(""));
addField("a", aText(""));
addField("b", aText(""));

// An address may name arms that this study does not have.
export function chosenPair(study) {
  const recipes = study.recipes.map((recipe) => recipe.name);
  const recipe = recipes.includes(state.recipe) ? state.recipe : recipes[0];
  const usual = study.arms.find((arm) => arm !== study.reference) ?? study.reference;
  const b = study.arms.includes(state.b) ? state.b : study.reference;
  const a = study.arms.includes(state.a) ? state.a : usual;
  return { recipe, a, b };
}

// The runs of both arms that share a seed: [{seed, a, b}].
export function sharedSeeds({ recipe, a, b }, runs = report.runs) {
  const of = (arm) => runs.filter((run) => run.recipe === recipe && run.arm === arm);
  return of(a).flatMap((one) => {
    const other = of(b).find(({ seed }) => seed === one.seed);
    return other ? [{ seed: one.seed, a: one, b: other }] : [];
  });
}

// The fields of several parts of the page show the same choice.
export function pairControls(study) {
  const arms = study.arms.map((arm) => [arm, arm]);
  const settle = () => Object.assign(state, chosenPair(study));
  settle();
  const recipes = study.recipes.length > 1 && select("recipe", "Recipe", study.recipes.map(({ name }) => [name, name]));
  return [recipes, select("a", "A", arms), select("b", "B", arms)].filter(Boolean);
}
