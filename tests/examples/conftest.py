"""Made image data, and no network."""

import http.server
import pathlib
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from made_images import TEST, TRAIN, Source, idx, use_proxy


@pytest.fixture
def source(tmp_path: pathlib.Path) -> Source:
    rng = np.random.default_rng(0)
    folder = tmp_path / "source"
    folder.mkdir()
    images, labels = {}, {}
    for split, prefix, count in (("train", "train", TRAIN), ("test", "t10k", TEST)):
        images[split] = rng.integers(0, 256, (count, 28, 28), np.uint8)
        images[split][0, 0] = np.arange(228, 256)  # no two alike, and white is there
        labels[split] = rng.integers(0, 10, count, np.uint8)
        data = images[split].tobytes()
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(2051, (count, 28, 28), data))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(idx(2049, (count,), labels[split].tobytes()))
    return Source(folder, images, labels)


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a port that nobody listens on, whatever network the machine has."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        use_proxy(monkeypatch, unused.getsockname()[1])


@pytest.fixture
def mirror(source: Source, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy that answers each request with the file of that name from the made data set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = (source.folder / self.path.rsplit("/", 1)[1]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        use_proxy(monkeypatch, server.server_port)
        yield
        server.shutdown()
        thread.join()
