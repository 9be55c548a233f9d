"""Folders that are dropped, made of what a browser would give: a reader tells of a hundred entries at a time."""

WALK = """
const done = arguments[0];
const file = (path) => ({ isFile: true, name: path, fullPath: path, file: (take) => take(new File([""], path)) });
const folder = (path, entries) => ({ isFile: false, name: path, fullPath: path, createReader() {
  const left = [...entries];
  return { readEntries: (take) => take(left.splice(0, 100)) };
} });
const many = Array.from({ length: 250 }, (_, k) => file(`/lot/${k}.png`));
const entry = folder("/lot", [...many, folder("/lot/deep", [file("/lot/deep/a.TIF"), file("/lot/deep/notes.txt")])]);
import("/static/files.js").then(async ({ dropped, sorted }) => {
  const items = [{ kind: "file", webkitGetAsEntry: () => entry }, { kind: "string" }];
  const { images, others } = sorted(await dropped({ items, files: [null] }));
  done([images.map((one) => one.name), others]);
});
"""


def test_a_folder_is_searched_to_the_bottom_and_only_its_images_are_taken(person):
    names, others = person.browser.execute_async_script(WALK)
    assert sorted(names) == sorted([*(f"lot/{k}.png" for k in range(250)), "lot/deep/a.TIF"])
    assert others == 1
