"""The page's modules, and the one script that they become."""

import re
from pathlib import Path

import pytest

from cv_attention.report.write.bundle import bundle_script, bundle_styles, read_modules
from tests.report.node import PAGE, call, run

ENTRIES = ("main.js", "study.js")
# Each folder uses only those before it; those in one row do not use each other.
LAYERS = [("core",), ("drawing",), ("samples",), ("panels", "tools", "study"), ("main.js", "study.js")]


def all_modules():
    """The modules of all pages."""
    return {path: module for entry in ENTRIES for path, module in read_modules(PAGE, entry).items()}


@pytest.fixture
def write(tmp_path):
    """Writes the files of a page: their text by path."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "page" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "page"

    return write


def test_the_script_does_what_the_modules_do(write) -> None:
    page = write(
        {
            "main.js": 'import { area } from "./maths/area.js";\nimport {\n  log,\n} from "./log.js";\n\n'
            "log(await_(area(3)));\nasync function await_(value) {\n  return await value;\n}\n",
            "maths/area.js": 'import { square } from "./square.js";\nimport { log } from "../log.js";\n'
            'log("area");\nexport async function area(r) {\n  return 3 * square(r);\n}\n',
            "maths/square.js": 'import { log } from "../log.js";\nlog("square");\nexport const square = x => x * x;\n',
            "log.js": "export function log(value) {\n  Promise.resolve(value).then(console.log);\n}\n",
            "package.json": '{ "type": "module" }',
        }
    )
    as_modules = run("--input-type=module", "-e", f"await import({(page / 'main.js').as_uri()!r})")
    assert run("-e", bundle_script(page)) == as_modules == "square\narea\n27\n"


def test_a_module_runs_once_and_keeps_names_that_it_does_not_export(write) -> None:
    page = write(
        {
            "main.js": 'import { first } from "./a.js";\nimport { second } from "./b.js";\nconst kept = "main";\n'
            "console.log(first(), second(), kept);\n",
            "a.js": 'import { count } from "./c.js";\nconst kept = "a";\nexport const first = () => kept + count();\n',
            "b.js": 'import { count } from "./c.js";\nconst kept = "b";\nexport const second = () => kept + count();\n',
            "c.js": "let kept = 0;\nexport function count() {\n  return ++kept;\n}\n",
        }
    )
    assert run("-e", bundle_script(page)) == "a1 b2 main\n"
    (page / "b.js").write_text("export const second = () => typeof count;\n")
    assert run("-e", bundle_script(page)) == "a1 undefined main\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"main.js": 'import { a } from "./a.js";\n'}, r"^a\.js does not exist, imported by main\.js$"),
        (
            {"main.js": 'import { a } from "../a.js";\n', "../a.js": "export const a = 1;\n"},
            r"^\.\./a\.js does not exist, imported by main\.js$",
        ),
        ({"a.js": ""}, r"^main\.js does not exist$"),
        (
            {"main.js": 'import { a, b } from "./x/a.js";\n', "x/a.js": "export const a = 1;\nconst b = 2;\n"},
            r"^x/a\.js does not export b, imported by main\.js$",
        ),
        (
            {
                "main.js": 'import { a } from "./a.js";\n',
                "a.js": 'import { b } from "./b.js";\nexport const a = 1;\n',
                "b.js": 'import { a } from "./a.js";\nexport const b = 1;\n',
            },
            r"^modules import each other: a\.js -> b\.js -> a\.js$",
        ),
        ({"main.js": 'import { main } from "./main.js";\n'}, r"each other: main\.js -> main\.js$"),
    ],
)
def test_wrong_imports_are_named(write, files, told) -> None:
    with pytest.raises(ValueError, match=told):
        bundle_script(write(files))


@pytest.mark.parametrize(
    "statement",
    [
        "export default 1;", "export * from './a.js';", 'export { a } from "./a.js";', "export { a };",
        "export let a = 1;", "export const { a } = all;", "  export const a = 1;", "export class A {}",
        'import { a as b } from "./a.js";', 'import a from "./a.js";', 'import * as a from "./a.js";',
        'import "./a.js";', "import { a } from './a.js';", 'import { a } from "library";', 'import { a } from "./a.js"',
        'const a = import("./a.js");', "  import('./a.js').then(start);", "const here = import.meta.url;",
        "const a = await load();", "await load();",
    ],
)  # fmt: skip
def test_other_statements_are_refused(write, statement) -> None:
    page = write({"main.js": f"const all = {{}};\n{statement}\n", "a.js": "export const a = 1;\n"})
    with pytest.raises(ValueError, match=r"main\.js: cannot bundle") as raised:
        bundle_script(page)
    assert f"'{statement.strip()}'" in str(raised.value)


def test_words_in_comments_and_texts_are_not_statements(write) -> None:
    text = '// import("x") and await\nconst kept = {\n  import: 1,\n};\nconsole.log("export default", kept.import);\n'
    text += "const later = async () => console.log(await kept.import);\nlater();\n"
    assert run("-e", bundle_script(write({"main.js": text}))) == "export default 1\n1\n"


def test_sheets_are_joined_in_the_order_of_their_imports(write) -> None:
    page = write(
        {
            "styles/main.css": '/* All. */\n\n@import "b.css";\n@import "a.css";\n',
            "styles/a.css": "a { color: red; }\n",
            "styles/b.css": "b { color: red; }\n",
        }
    )
    assert bundle_styles(page) == "b { color: red; }\n\na { color: red; }\n"
    write({"styles/b.css": '@import "a.css";\n'})
    with pytest.raises(ValueError, match=r"^b\.css: only main\.css may import$"):
        bundle_styles(page)
    (page / "styles/b.css").unlink()
    with pytest.raises(ValueError, match=r"^b\.css does not exist, imported by main\.css$"):
        bundle_styles(page)


def test_every_file_of_the_page_is_used() -> None:
    assert {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.js")} == set(all_modules())
    styles = bundle_styles(PAGE)
    sheets = [path for path in PAGE.rglob("*.css") if path.name != "main.css"]
    assert sheets
    assert all(styles.count(path.read_text(encoding="utf-8")) == 1 for path in sheets)


def test_folders_of_the_page_use_each_other_in_one_direction() -> None:
    level = {folder: number for number, row in enumerate(LAYERS) for folder in row}
    for path, module in all_modules().items():
        here = path.split("/")[0]
        for other in module.imports:
            there = other.split("/")[0]
            assert here == there or level[there] < level[here], f"{path} imports {other}"


def test_modules_use_what_others_export_only_by_importing_it() -> None:
    """A forgotten import is otherwise found when the line runs."""
    modules = all_modules()
    exported = [name for module in modules.values() for name in module.exports]
    assert len(set(exported)) == len(exported)
    for path, module in modules.items():
        code = re.sub(r'//.*|"(?:[^"\\\n]|\\.)*"', "", module.body)
        used = set(re.findall(r"(?<![.\w$-])([A-Za-z_]\w*)\b(?!\s*:)", code))
        imported = {name for names in module.imports.values() for name in names}
        assert (used & set(exported)) - imported - set(module.exports) == set(), path
        assert imported - set(re.findall(r"\w+", code)) == set(), f"{path} imports these without using them"


def test_exports_are_imported_somewhere() -> None:
    modules = all_modules()
    imported = {
        (other, name) for module in modules.values() for other, names in module.imports.items() for name in names
    }
    unused = [
        f"{path}: {name}" for path, module in modules.items() for name in module.exports if (path, name) not in imported
    ]
    assert set(unused) == {
        "drawing/plot.js: logTicks", "drawing/scales.js: quantile", "drawing/series.js: interpolated",
        "core/class_names.js: distinctNames", "core/run_names.js: withoutCommon",
        "samples/conditions.js: nearestName",
        "panels/confusion_matrix.js: confusionShares", "core/csv.js: csvCell",
        "study/charts.js: frontOf", "study/charts.js: costed",
        "panels/usage.js: usageLines",
    }, "these alone are exported for their tests"  # fmt: skip


def test_modules_need_no_document_to_be_imported() -> None:
    """All but those that assemble a page."""
    modules = [path for path in all_modules() if path not in ENTRIES]
    assert call("typeof pixelRanks", *modules) == "function"
