"""The folder layouts that are understood, a small reader for each, and the one that recognises them.

MVTec AD        train/good, test/<kind>, ground_truth/<kind>/<stem>_mask.png (Bergmann et al., CVPR 2019)
BTAD            train/ok, test/ok, test/ko, ground_truth/ko (Mishra et al., ISIE 2021)
DAGM 2007       Train and Test, each with NNNN.PNG, Label/NNNN_label.PNG and Label/Labels.txt
KolektorSDD2    train and test, each with NNNNN.png and NNNNN_GT.png (Bozic et al., Comput. Ind. 2021)
plain folders   good/, bad/ (its sub-folders are kinds), masks/ as bad/, by file name
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from protores.data.folders import by_stem, child, folders_in, images_in
from protores.data.image import read_mask
from protores.data.sample import GOOD, Dataset, Sample
from protores.errors import DataError, UnreadableImage

TRAIN, TEST, ADDED = "train", "test", "added"
UNDERSTOOD = (
    "MVTec AD (train/good, test/<kind>, ground_truth/<kind>), BTAD (train/ok, test/ko), "
    "DAGM 2007 (Train/Label, Test/Label), KolektorSDD2 (train/*_GT.png, test/*_GT.png), "
    "plain folders (good/, bad/, masks/)"
)


@dataclass(frozen=True)
class Survey:
    """A data set and the mask files below its root that belong to no image."""

    dataset: Dataset
    orphans: tuple[Path, ...]


def recognise(root: Path, needs_good: bool = True) -> Dataset:
    """Read the folder's layout: every image, its kind, part and mask, sorted by path.

    Raises DataError: no such folder, empty, no layout that is understood, several products, no good images (where
    these are needed), a mask without its image.
    """
    found = survey(root, needs_good)
    for orphan in found.orphans:
        others = f" ({len(found.orphans)} such)" if len(found.orphans) > 1 else ""
        raise DataError(f"{orphan}: a mask without its image{others}; add the image or remove the mask")
    return found.dataset


def survey(root: Path, needs_good: bool = True) -> Survey:
    """As recognise, but masks without an image are listed instead of raised."""
    root = Path(root)
    if not root.is_dir():
        wrong = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {wrong}; give the folder that holds the images")
    reader = _reader_of(root)
    if reader is None:
        raise DataError(_not_understood(root))
    found = reader(root)
    if needs_good and not any(sample.is_good for sample in found.dataset.samples):
        where = _GOOD_FOLDERS[found.dataset.layout]
        raise DataError(
            f"{root}: no good images in this {found.dataset.layout} layout; put some into {where}"
        )
    return found


def is_product(folder: Path) -> bool:
    """Whether a layout reads this folder."""
    return folder.is_dir() and _reader_of(folder) is not None


_GOOD_FOLDERS = {
    "MVTec AD": "train/good",
    "BTAD": "train/ok",
    "DAGM 2007": "Train (without a label)",
    "KolektorSDD2": "train (with an all-black _GT.png)",
    "plain folders": "good",
}


def _reader_of(root: Path) -> Callable[[Path], Survey] | None:
    train, test = child(root, TRAIN), child(root, TEST)
    if child(train, GOOD) or child(test, GOOD):
        return read_mvtec_ad
    if child(train, "ok") or child(test, "ok") or child(test, "ko"):
        return read_btad
    if test and child(root, "ground_truth"):
        return read_mvtec_ad
    if child(root, GOOD) or child(root, "bad"):
        return read_plain
    if child(root, "label") or child(train, "label") or child(test, "label"):
        return read_dagm
    if any(_is_kolektor_mask(path) for half in (root, train, test) for path in images_in(half)):
        return read_kolektor
    return None


def _not_understood(root: Path) -> str:
    folders = folders_in(root)
    products = [folder.name for folder in folders if _reader_of(folder)]
    if products:
        names = _listed(products)
        return f"{root}: holds whole products ({names}); name one of them, as in {root / products[0]}"
    if not folders and not images_in(root):
        return f"{root}: there are no images in this folder; put good images into {root / GOOD}"
    seen = _listed([f"{folder.name}/" for folder in folders] + [path.name for path in images_in(root)])
    return f"{root}: no known layout (found {seen}); arrange it as one of {UNDERSTOOD}"


def _listed(names: list[str], shown: int = 6) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def read_mvtec_ad(root: Path) -> Survey:
    """train/good, test/good and test/<kind>; masks <stem>_mask or <stem> in ground_truth/<kind>."""
    return _read_kind_folders(root, "MVTec AD", GOOD)


def read_btad(root: Path) -> Survey:
    """train/ok, test/ok and test/ko; masks <stem> in ground_truth/ko. The only kind is "ko"."""
    return _read_kind_folders(root, "BTAD", "ok")


def _read_kind_folders(root: Path, layout: str, good: str) -> Survey:
    samples: list[Sample] = []
    truth = child(root, "ground_truth")
    masks = {folder.name.lower(): by_stem(images_in(folder), folder) for folder in folders_in(truth)}
    orphans = [path for found in masks.values() for path in found.values()]
    for part in (TRAIN, TEST):
        for folder in folders_in(child(root, part)):
            is_good = folder.name.lower() == good
            kind = GOOD if is_good else folder.name
            for path in images_in(folder):
                mask = None if is_good else _masked(masks.get(folder.name.lower(), {}), path.stem)
                samples.append(Sample(path, kind, part, mask))
    notes = _drop_good_masks(orphans, masks.get(good, {}).values())
    return _survey(root, layout, samples, orphans, notes)


def read_plain(root: Path) -> Survey:
    """good/ (and all below it), bad/<kind>/ or bad/ itself (then the kind is "bad"), and optional masks/.

    A mask is found as masks/<kind>/<stem>, masks/bad/<kind>/<stem> or masks/<stem>, with or without _mask at
    its end. The layout has no test part.
    """
    good_root, bad_root, mask_root = child(root, GOOD), child(root, "bad"), child(root, "masks", "mask")
    samples = [Sample(path, GOOD, TRAIN) for path in images_in(good_root, deep=True)]
    masks = by_stem(images_in(mask_root, deep=True), mask_root) if mask_root else {}
    orphans = list(masks.values())
    bad = images_in(bad_root, deep=True)
    by_name = [path.stem for path in bad]
    for path in bad:
        inner = path.relative_to(bad_root or root).with_suffix("")
        keys = [inner.as_posix(), f"bad/{inner.as_posix()}"]
        if by_name.count(path.stem) == 1:
            keys.append(path.stem)
        mask = next(filter(None, (_masked(masks, key) for key in keys)), None)
        kind = inner.parts[0] if len(inner.parts) > 1 else "bad"
        if kind.casefold() == GOOD:
            raise DataError(f"{path.parent}: no kind of defect may be called good; rename the folder, or move it")
        samples.append(Sample(path, kind, TRAIN, mask))
    taken = {sample.mask for sample in samples}
    good_stems = {sample.path.stem for sample in samples if sample.is_good}
    of_good = [
        path
        for stem, path in masks.items()
        if path not in taken
        and (stem.startswith("good/") or ("/" not in stem and stem.removesuffix("_mask") in good_stems))
    ]
    notes = _drop_good_masks(orphans, of_good)
    others = [f.name for f in folders_in(root) if f not in (good_root, bad_root, mask_root) and images_in(f)]
    if others:
        notes.append(f"not read: {_listed(others)}; kinds of defects belong into {root / 'bad'}")
    return _survey(root, "plain folders", samples, orphans, notes)


def read_dagm(root: Path) -> Survey:
    """ClassN with Train and Test, or one of these alone; an image with a label is defective, kind "defect".

    Labels.txt is believed where it is there: it may call an image defective whose label file is lost.
    """
    samples: list[Sample] = []
    orphans: list[Path] = []
    for half, part in _halves(root):
        label_folder = child(half, "label")
        labels = by_stem(images_in(label_folder), label_folder) if label_folder else {}
        orphans += labels.values()
        defective = _dagm_defective(label_folder)
        for path in images_in(half):
            mask = labels.get(f"{path.stem}_label")
            is_bad = mask is not None or path.stem in defective
            samples.append(Sample(path, "defect" if is_bad else GOOD, part, mask))
    return _survey(root, "DAGM 2007", samples, orphans)


def _dagm_defective(label_folder: Path | None) -> set[str]:
    """Stems that Labels.txt marks 1; its lines are: number, 0 or 1, image file, 0, label file or 0."""
    files = (
        [] if label_folder is None else [f for f in label_folder.iterdir() if f.name.lower() == "labels.txt"]
    )
    lines = [line.split() for file in files for line in file.read_text("latin-1").splitlines()]
    return {Path(line[2]).stem for line in lines if len(line) >= 3 and line[1] == "1"}


def read_kolektor(root: Path) -> Survey:
    """train and test, or one of these alone; an image whose _GT file is all black is good, else "defect".

    An image without a _GT file is left out with a note: the published archive has one, "10301 (copy).png",
    beside a mask that is a copy as well.
    """
    samples: list[Sample] = []
    orphans: list[Path] = []
    notes: list[str] = []
    for half, part in _halves(root):
        files = images_in(half)
        masks = by_stem([path for path in files if _is_kolektor_mask(path)], half)
        for path in files:
            if _is_kolektor_mask(path):
                continue
            mask = masks.pop(f"{path.stem}_GT", None)
            if mask is None:
                notes.append(f"{path.name} in {half.name} is left out: it has no {path.stem}_GT file")
            elif _is_black(mask):
                samples.append(Sample(path, GOOD, part))
            else:
                samples.append(Sample(path, "defect", part, mask))
        orphans += masks.values()
    return _survey(root, "KolektorSDD2", samples, orphans, notes)


def _is_black(mask: Path) -> bool:
    try:
        return not read_mask(mask).any()
    except UnreadableImage:
        return False  # a defect until proven otherwise; whoever loads the image reports its mask


def _is_kolektor_mask(path: Path) -> bool:
    return path.stem.endswith("_GT")


def _halves(root: Path) -> list[tuple[Path, str]]:
    """The Train and Test folders of root; root itself, as the part that its name says, if it has neither."""
    halves = [(folder, part) for part in (TRAIN, TEST) if (folder := child(root, part))]
    return halves or [(root, TEST if root.name.lower() == TEST else TRAIN)]


def _masked(masks: Mapping[str, Path], stem: str) -> Path | None:
    return masks.get(f"{stem}_mask") or masks.get(stem)


def _drop_good_masks(orphans: list[Path], of_good: Iterable[Path]) -> list[str]:
    """Take masks of good images out of orphans; the note that says so."""
    dropped = set(of_good)
    orphans[:] = [path for path in orphans if path not in dropped]
    return [f"{len(dropped)} masks of good images are not read"] if dropped else []


def _survey(
    root: Path, layout: str, samples: list[Sample], orphans: list[Path], notes: Iterable[str] = ()
) -> Survey:
    taken = {sample.mask for sample in samples}
    parts = {sample.part for sample in samples}
    has_test = {TRAIN, TEST} <= parts and any(sample.is_good and sample.part == TRAIN for sample in samples)
    dataset = Dataset(
        root,
        layout,
        tuple(sorted(samples, key=lambda sample: sample.path.relative_to(root).as_posix())),
        has_test,
        tuple(notes),
    )
    return Survey(dataset, tuple(path for path in orphans if path not in taken))
