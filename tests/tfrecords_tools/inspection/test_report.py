import base64
import csv
import json
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfrecords_tools.crop import CropBox
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspect import main
from tfrecords_tools.inspection import report, sheets
from tfrecords_tools.inspection.measures import Meter
from tfrecords_tools.inspection.sheets import SheetPicker
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout

LEFT = MEDIAPIPE_HOLISTIC.group_slices["left_hand"]
NASTY = "<b>\"né'&</script>$"


class Page(HTMLParser):
    """A page's links, ids, addresses of pictures, and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.images: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        content = path.read_text(encoding="utf-8")
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', content, re.DOTALL)[1])
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.links += [values["href"]] if tag == "a" else []
        self.images += [values["src"]] if tag == "img" else []
        self.ids |= {values["id"]} if "id" in values else set()
        assert "src" not in values or tag == "img"  # no script from elsewhere

    def handle_data(self, data: str) -> None:
        self.text += data

    def behind(self, link: str) -> list[str]:
        """Media ids of the clips that a link shows, worked out as the page's script does."""
        filters = dict(urllib.parse.parse_qsl(link.removeprefix("#"), keep_blank_values=True))
        filters.pop("sort", None)
        return [row[0] for row in self.data["rows"] if all(self._passes(row, *item) for item in filters.items())]

    def _passes(self, row: list, key: str, value: str) -> bool:
        data = self.data
        words = {
            "id": [row[0]],
            "gloss": [data["glosses"][index] for index in row[1]],
            "signer": [data["signers"][row[2]]],
            "split": [data["splits"][row[3]]],
            "size": [data["sizes"][row[10]]],
            "rate": [data["rates"][row[11]]],
            "crop": [data["crops"][row[12]]],
            "flag": [data["flags"][index] for index in row[13]],
        }
        if key in words:
            return value in words[key]
        low, high = map(float, value.split(".."))
        number = row[{"frames": 4, "seconds": 5, "hands": 6, "gap": 7, "sharpness": 8, "brightness": 9}[key]]
        return number is not None and low <= number < high


def textured(num_frames: int, level: int = 128, blur: float = 0.0) -> np.ndarray:
    """Frames with a pattern, ``level`` on average, more or less sharp."""
    pattern = np.random.default_rng(0).integers(-60, 60, (48, 64)).astype(np.float32)
    if blur:
        pattern = cv2.GaussianBlur(pattern, (0, 0), blur)
    frame = np.clip(pattern * level / 128 + level, 0, 255).astype(np.uint8)
    return np.repeat(np.repeat(frame[None, ..., None], 3, axis=-1), num_frames, axis=0)


def points(num_frames: int, without_hands: slice | None = None) -> np.ndarray:
    rng = np.random.default_rng(num_frames)
    values = rng.uniform(0.3, 0.7, (num_frames, 543, 3))
    if without_hands is not None:
        values[without_hands, LEFT.start :] = np.nan
    return values


@pytest.fixture
def splits(make_clip) -> dict[str, list]:
    train = [
        make_clip(
            f"train/{number}", "hello" if number % 4 else NASTY, "anna", frames=textured(20), points=points(20)
        )
        for number, gloss in enumerate([NASTY, "hello", "hello", "hello"] * 3)
    ]
    odd = {
        "dark": {"frames": textured(20, level=20), "points": points(20)},
        "soft": {"frames": textured(20, blur=3), "points": points(20)},
        "lost": {"frames": textured(20), "points": points(20, slice(5, 15))},
        "no hands": {"frames": textured(20), "points": points(20, slice(0, 20))},
    }
    train += [make_clip(name, "hello", "anna", **values) for name, values in odd.items()]
    return {
        "train": train,
        "test": [make_clip("test/0", "hello rain", "berta", frames=textured(9), points=points(9))],
    }


def make_report(folder: Path, run_main, *arguments: str) -> Page:
    path = folder.parent / "report.html"
    status, stdout, stderr = run_main(main, folder, "--report", path, *arguments)
    assert stderr == ""
    assert status == 0
    assert f"{path}: the report" in stdout.splitlines()
    return Page(path)


def test_page_is_self_contained_and_every_link_leads_somewhere(splits, write_records, run_main):
    page = make_report(write_records(splits, MEDIAPIPE_HOLISTIC), run_main)
    assert page.images
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    assert not {"link", "iframe"} & set(page.tags)
    anchors = [link for link in page.links if "=" not in link]
    assert {"#clips", "#glosses", "#signers"} <= set(anchors)
    assert {link.removeprefix("#") for link in anchors} <= page.ids
    filters = {link for link in page.links if "=" in link and ".." not in link}  # a bar may be empty
    assert [link for link in filters if not page.behind(link)] == ["#split=validation"]


def test_numbers_are_those_of_the_clips_behind_them(splits, write_records, run_main):
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    page = make_report(folder, run_main)
    assert len(page.data["rows"]) == 17
    assert page.behind("#flag=dark") == ["dark"]
    assert page.behind("#flag=blurry") == ["soft"]
    assert page.behind("#flag=drop-out") == ["lost"]
    assert page.behind("#flag=no+hands") == ["no hands"]
    assert page.behind("#gloss=rain") == ["test/0"]  # a word of a sentence
    assert len(page.behind("#gloss=hello&split=train")) == 13
    content = (folder.parent / "report.html").read_text(encoding="utf-8")
    shown = re.findall(r'<a href="(#[^"]*=[^"]*)">([\d,]+)</a>', content)
    assert len(shown) > 15
    for link, number in shown:
        link = link.replace("&amp;", "&").replace("&#39;", "'")
        if "sort=" not in link:
            assert len(page.behind(link)) == int(number.replace(",", "")), link
    bars = re.findall(r'<a href="(#[^"]*\.\.[^"]*)" class="[^"]*" title="[^"]*: (\d+) clips"', content)
    assert {link.split("=")[0] for link, _ in bars} == {
        "#seconds",
        "#frames",
        "#hands",
        "#gap",
        "#sharpness",
        "#brightness",
    }
    for link, number in bars:
        assert len(page.behind(link)) == int(number)


def test_text_of_others_is_escaped(splits, write_records, run_main):
    page = make_report(write_records(splits, MEDIAPIPE_HOLISTIC), run_main)
    assert NASTY in page.data["glosses"]
    assert NASTY in page.text
    assert page.tags.count("script") == 2


def test_skipped_and_coverage_are_told(splits, write_records, run_main):
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    with (folder / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [
            ("path", "reason"),
            *((f"{number}.mp4", "holds no frame") for number in range(30)),
            ("b", "cut off"),
        ]
        csv.writer(file).writerows(rows)
    (folder / "coverage.json").write_text(
        json.dumps(
            {
                "metadata": "x.json",
                "have": 17,
                "of": 40,
                "splits": {"train": {"have": 16, "of": 30}},
                "glosses": {"hello": {"train": {"have": 3, "of": 20}, "test": {"have": 1, "of": 4}}},
            }
        )
    )
    page = make_report(folder, run_main)
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "31 inputs became no clip" in text
    assert "30 holds no frame" in text
    assert "0.mp4" in text
    assert "and 10 more" in text
    assert re.search(r"hello ?4 ?24 ?17 ?%", text)
    assert report._coverage(folder) == [("in all", 17, 40), ("train", 16, 30), ("hello", 4, 24)]


@pytest.mark.parametrize("content", ["", "[]", "nonsense", '{"splits": 3}'])
def test_coverage_of_another_form_is_left_out(tmp_path, content):
    (tmp_path / "coverage.json").write_text(content)
    assert report._coverage(tmp_path) == []


def test_keypoints_alone_are_drawn_as_skeletons(make_clip, write_records, run_main):
    clips = [make_clip(str(number), points=points(12), signer="a") for number in range(3)]
    page = make_report(write_records({"train": clips}, MEDIAPIPE_HOLISTIC), run_main)
    assert page.images
    assert {row[8] for row in page.data["rows"]} == {None}


def test_layout_of_ones_own_in_pixels(make_clip, write_records, run_main):
    layout = KeypointLayout.from_names("own", ["left_hand/middle", "right_hand/middle", "nose/tip"], [])
    rng = np.random.default_rng(0)
    clips = [make_clip("a", points=rng.uniform(0, 600, (12, 3, 3)), layout=layout)]
    page = make_report(write_records({"train": clips, "test": []}, layout), run_main)
    assert len(page.images) == 2  # of the gloss, and of the signer
    assert "clips in the split test" in page.text


def test_frames_alone_and_signers_not_known(make_clip, write_records, run_main):
    clips = [make_clip("a", signer="", frames=textured(5)), make_clip("still", signer="", frames=textured(1))]
    page = make_report(write_records({"train": clips}), run_main)
    assert page.images
    assert {row[6] for row in page.data["rows"]} == {None}
    assert len(page.behind("#signer=")) == 2


def test_nothing_found_in_any_frame(make_clip, write_records, run_main):
    nothing = np.full((5, 543, 3), np.nan)
    page = make_report(write_records({"train": [make_clip("a", points=nothing)]}, MEDIAPIPE_HOLISTIC), run_main)
    assert page.behind("#flag=no+hands") == ["a"]


def test_report_and_audit_from_one_reading(splits, make_clip, write_records, run_main):
    splits["test"].append(make_clip("again", "hello", "anna", frames=textured(11), points=points(11)))
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    status, stdout, _ = run_main(main, folder, "--report", folder.parent / "report.html", "--audit")
    assert status == 1
    assert "leak: signer 'anna' is in train (16 clips" in stdout
    text = Page(folder.parent / "report.html").text
    assert "signer 'anna' is in train" in text


def test_faulty_records_are_reported_and_do_not_stop_the_page(splits, write_records, run_main):
    splits["train"][3].jpegs[1] = b"\xff\xd8 nothing"
    splits["train"][4].jpegs.clear()
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    status, stdout, stderr = run_main(main, folder, "--report", folder.parent / "report.html", "--audit")
    assert (status, stderr) == (1, "")
    assert "frame 1 is no JPEG that decodes" in stdout
    assert "frame 1 is no JPEG that decodes" in Page(folder.parent / "report.html").text


def test_page_stays_small(splits, make_clip, write_records, run_main, monkeypatch):
    monkeypatch.setattr(report, "MOST_LISTED", 5)
    monkeypatch.setattr(sheets, "MOST_GLOSSES", 2)
    monkeypatch.setattr(sheets, "MOST_SIGNERS", 1)
    monkeypatch.setattr(sheets, "MOST_WORST", 1)
    page = make_report(write_records(splits, MEDIAPIPE_HOLISTIC), run_main)
    assert len(page.images) == 2 + 1 + 4
    listed = {row[0] for row in page.data["rows"]}
    assert len(listed) == 5
    assert {"dark", "soft", "lost", "no hands"} <= listed  # what stands out comes first
    assert page.data["total"] == 17


def test_worst_clips_are_chosen_whatever_their_order(splits, write_records):
    splits["train"].reverse()
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    meter = Meter(MEDIAPIPE_HOLISTIC)
    picker = SheetPicker(DatasetInfo.load(folder), MEDIAPIPE_HOLISTIC, meter)
    inspect_records(folder, observers=[meter, picker])
    firsts = {title: picker.worst(title)[0].clip.media_id for title in sheets.WORST}
    assert firsts == {"hands": "no hands", "drop-outs": "lost", "blur": "soft", "darkness": "dark"}


def test_keypoints_are_drawn_where_the_crop_shows_them(make_clip, write_records):
    """The stored frame is the right lower quarter of the picture; the hand lies around its middle, (0.75, 0.75)."""
    values = np.full((1, 543, 3), np.nan)
    values[0, LEFT] = np.linspace(0.7, 0.8, 21)[:, None]
    frames = np.zeros((1, 120, 120, 3), np.uint8)
    clip = make_clip("a", frames=frames, points=values, box=CropBox(0.5, 0.5, 1.0, 1.0, "hands"))
    folder = write_records({"train": [clip]}, MEDIAPIPE_HOLISTIC)
    meter = Meter(MEDIAPIPE_HOLISTIC)
    picker = SheetPicker(DatasetInfo.load(folder), MEDIAPIPE_HOLISTIC, meter)
    inspect_records(folder, observers=[meter, picker])
    strip = picker.glosses["hello"]
    content = np.frombuffer(base64.b64decode(strip.source.split(",")[1]), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)[:, :-4].astype(int)
    drawn = np.argwhere(picture.sum(axis=-1) > 150)
    np.testing.assert_allclose([drawn.min(axis=0), drawn.max(axis=0)], [[48, 48], [72, 72]], atol=2)
    red, green, blue = picture[60, 60]
    assert red > green > blue  # the colour of left hands


def test_mistakes_in_the_reports_name_are_told_before_reading(splits, write_records, tmp_path, run_main):
    folder = write_records(splits, MEDIAPIPE_HOLISTIC)
    status, stdout, stderr = run_main(main, folder, "--report", tmp_path)
    assert (status, stdout) == (2, "")
    assert stderr == f"error: --report {tmp_path}: is a folder; name a file, e.g. {tmp_path / 'report.html'}\n"
    status, _, stderr = run_main(main, folder, "--report", tmp_path / "nowhere" / "a.html")
    assert status == 2
    assert stderr.startswith(f"error: --report {tmp_path / 'nowhere' / 'a.html'}: there is no folder")
