"""Downloads are resumed, checked and never half there; everything is tried against a server on this machine."""

import hashlib
import http.server
import threading
from dataclasses import dataclass, field, replace

import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey import library
from plural_nb.survey.download import fetch
from plural_nb.survey.library import download_survey, downloads, load_survey, surveys

CONTENT = bytes(range(256)) * 1500
SHA = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does next, and the requests it has seen as (path, range)."""

    address: str = ""
    seen: list = field(default_factory=list)
    cut_after: list = field(default_factory=list)
    ranges: bool = True
    content: bytes = CONTENT


@pytest.fixture
def server():
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range")
            state.seen.append((self.path, asked))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/file")
                self.end_headers()
                return
            if self.path == "/circle":
                self.send_response(302)
                self.send_header("Location", "/circle")
                self.end_headers()
                return
            if self.path != "/file":
                self.send_error(404)
                return
            start = int(asked.split("=")[1].rstrip("-")) if asked and state.ranges else 0
            if asked and state.ranges and start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)
            self.close_connection = True

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    state.address = f"http://127.0.0.1:{running.server_port}"
    yield state
    running.shutdown()
    running.server_close()


def test_a_file_comes_whole_once_and_is_not_fetched_again(server, tmp_path):
    target, steps = tmp_path / "deep" / "file.csv", []
    assert fetch(f"{server.address}/file", target, sha256=SHA, on_progress=lambda *step: steps.append(step)) == target
    assert target.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    fetch(f"{server.address}/file", target, sha256=SHA)
    assert len(server.seen) == 1
    assert [p.name for p in target.parent.iterdir()] == ["file.csv"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    server.cut_after = [100_000, 50_000]
    fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert [asked for _, asked in server.seen] == [None, "bytes=100000-", "bytes=150000-"]
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_one_that_keeps_breaking_keeps_what_came_for_the_next_call(server, tmp_path):
    server.cut_after = [1000, 1000, 1000]
    with pytest.raises(SurveyError, match=r"broke 3 times .* 3,000 bytes are kept; call again"):
        fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert not (tmp_path / "f").exists()
    fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert server.seen[-1] == ("/file", "bytes=3000-")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_again(server, tmp_path):
    server.cut_after, server.ranges = [1000], False
    fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_part_that_is_too_long_starts_afresh(server, tmp_path):
    (tmp_path / "f.part").write_bytes(bytes(len(CONTENT) + 5))
    fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(SurveyError, match="is not the file that was expected"):
        fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "f").write_bytes(b"tampered")
    with pytest.raises(SurveyError, match="Delete it and download it again"):
        fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA)


def test_more_bytes_than_expected_are_stopped(server, tmp_path):
    with pytest.raises(SurveyError, match="sends more than the 1,000 bytes"):
        fetch(f"{server.address}/file", tmp_path / "f", sha256=SHA, size=1000)
    assert list(tmp_path.iterdir()) == []


def test_redirects_are_followed_and_circles_are_not(server, tmp_path):
    server.cut_after = [1000]
    fetch(f"{server.address}/moved", tmp_path / "f", sha256=SHA)
    assert [path for path, _ in server.seen] == ["/moved", "/file", "/moved", "/file"]
    assert (tmp_path / "f").read_bytes() == CONTENT
    with pytest.raises(SurveyError, match="302"):
        fetch(f"{server.address}/circle", tmp_path / "g", sha256=SHA)
    with pytest.raises(SurveyError, match="the server says 404"):
        fetch(f"{server.address}/gone", tmp_path / "g", sha256=SHA)


def test_offline_it_says_so_and_what_to_do(server, tmp_path):
    nobody = "http://127.0.0.1:9/nobody-listens-here"
    with pytest.raises(SurveyError, match=r"cannot be reached .* may be offline.* put the file at .*f"):
        fetch(nobody, tmp_path / "f", sha256=SHA)
    with pytest.raises(SurveyError, match="no checksum"):
        fetch(nobody, tmp_path / "f", sha256="")
    with pytest.raises(SurveyError, match="not an address on the web"):
        fetch("file:///etc/hosts", tmp_path / "f", sha256=SHA)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "_store", lambda: tmp_path)
    library._shipped.cache_clear()
    yield tmp_path
    library._shipped.cache_clear()


def test_the_library_says_how_to_get_what_is_not_here(store):
    assert "nonvoters" not in [entry.name for entry in surveys()]
    with pytest.raises(SurveyError, match=r"not on this machine.*download_survey\('nonvoters'\) fetches 1.8 MB once"):
        load_survey("nonvoters")
    with pytest.raises(SurveyError, match=r"General Social Survey .*not fetched by plural_nb.*https://gss.norc.org"):
        download_survey("gss")
    with pytest.raises(SurveyError, match=r"no survey 'nonvoter' to download. Did you mean 'nonvoters'"):
        download_survey("nonvoter")
    for entry in downloads():
        assert entry.licence
        assert entry.citation
        assert bool(entry.sha256) != bool(entry.instructions), entry.name


def test_non_voters_are_downloaded_checked_and_agree_with_their_published_margins(store, server, shared, monkeypatch):
    path = shared / "data" / "nonvoters" / "nonvoters_data.csv"
    if not path.is_file():
        pytest.skip("the poll's file is not at hand")
    server.content = path.read_bytes()
    entry = next(entry for entry in downloads() if entry.name == "nonvoters")
    here = {"nonvoters": replace(entry, address=f"{server.address}/file")}
    monkeypatch.setattr(library, "_downloads", lambda: here)
    survey = download_survey("nonvoters")
    assert (survey.n, survey.wording) == (5836, "paraphrased")
    shares = survey.answers("Q23").shares()
    of_all = shares.share[0] * (1 - shares.volunteered[0])
    assert of_all.tolist() == pytest.approx([0.3427, 0.4452, 0.1935], abs=6e-5)
    weight, codes = survey.design.weight, survey.trait_codes["habit"]
    habit = [weight[codes == i].sum() / weight.sum() for i in range(3)]
    assert habit == pytest.approx([0.2904, 0.4293, 0.2803], abs=5e-5)
    assert [f for f in survey.check() if f.level == "misleads"] == []
    entry = next(e for e in surveys() if e.name == "nonvoters")
    assert (entry.rows, entry.questions, entry.traits) == (survey.n, len(survey.questions), len(survey.traits))
    assert load_survey("nonvoters") is survey
