"""Special files, odd names and hostile archives: the attempts of the counted attack, each right or refused."""

import os
import tarfile

import pytest

from benchmarks.faults import images
from cv_attention.data import ImageError, read_image
from cv_attention.data.sources import folder, webdataset
from cv_attention.data.sources.archives import members

FILES, ARCHIVES, SPECIAL = dict(images.files()), images.archives(), dict(images.special_archives())
pytestmark = pytest.mark.filterwarnings("ignore:left out")


@pytest.mark.parametrize("name", FILES)
def test_special_files_and_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert FILES[name](tmp_path) == "right"


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_archives(name, tmp_path):
    data, labels = ARCHIVES[name]
    assert images.read_archive(data, labels, tmp_path) == ("refused" if labels is None else "right")


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_archive(name, tmp_path):
    assert SPECIAL[name](tmp_path) == "refused"


def test_links_in_archives_are_said(tmp_path):
    (tmp_path / "a.tar").write_bytes(ARCHIVES["hard link inside"][0])
    with pytest.warns(UserWarning, match=r"left out: .*a\.tar/2\.png is a link or sparse"):
        assert [member.name for member in members(tmp_path / "a.tar", [".png"], distinct=True)] == ["1.png"]


def test_a_class_that_is_no_number_is_quoted(tmp_path):
    (tmp_path / "a.tar").write_bytes(ARCHIVES["class b'-1'"][0])
    with pytest.raises(ValueError, match=r"a\.tar/1\.png has the class '-1'; expected a number"):
        webdataset.open_shards(tmp_path / "index", [tmp_path / "a.tar"])


def test_a_link_up_brings_in_no_other_class(tmp_path):
    assert FILES["folder link up"](tmp_path) == "right"
    with pytest.warns(UserWarning, match=r"left out: '.*/a/up' leads to a folder"):
        folder.image_files(tmp_path / "a")


def test_links_that_never_end_are_image_errors(tmp_path):
    (tmp_path / "x.png").symlink_to("x.png")
    (tmp_path / ("x\n\x1b[2J" + ".png")).write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"x\.png' cannot be read: Too many levels"):
        read_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"x\\n\\x1b\[2J\.png' is not an image") as caught:
        read_image(tmp_path / "x\n\x1b[2J.png")
    assert "\n" not in str(caught.value)


def test_folders_that_cannot_be_read_are_said(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(UserWarning, match=r"left out: '.*closed' cannot be read: Permission denied"):
        assert folder.image_files(tmp_path) == []


def test_an_archive_of_a_million_headers_is_not_kept(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number in range(2000):
            tar.addfile(tarfile.TarInfo(f"{number}.txt"))
    assert list(members(tmp_path / "a.tar", [".png"])) == []
