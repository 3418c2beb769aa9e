import json
from dataclasses import dataclass
from types import SimpleNamespace

import exports
import numpy as np
import pytest
from exports import Export, SentenceReader, SignReader, score

from sign_keras.decoding import SentenceDecoding
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap

KNOWN = LabelMap(["hello", "wash", "work"])
# The records name the same glosses in another order.
RECORDS = SimpleNamespace(label_map=LabelMap(["work", "hello", "wash"]), directory="records")
SENTENCES = SimpleNamespace(config=SimpleNamespace(model=SimpleNamespace(task="continuous")))
SIGNS = SimpleNamespace(config=SimpleNamespace(model=SimpleNamespace(task="isolated")))


class Copied(SimpleNamespace):
    def model_copy(self, update: dict) -> "Copied":
        return Copied(**vars(self) | update)


@dataclass
class FakeRun:
    config: Copied


def artefact(frames_per_logit: int = 1) -> SimpleNamespace:
    return SimpleNamespace(label_map=KNOWN, sentence_decoding=SentenceDecoding(), frames_per_logit=frames_per_logit)


def packed(num_frames: int, ids: list[int]) -> list[int]:
    """``ctc.loss.unpacked`` has the layout; nobody says what each frame shows."""
    return [num_frames, 0, *(index + 1 for index in ids), *([0] * (3 - len(ids)))]


def test_single_signs_are_compared_by_gloss_not_by_id():
    reader = SignReader(artefact(), RECORDS)
    labels = np.array([0, 1])
    logits = np.array([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0]])
    assert reader.references(labels) == [("work",), ("hello",)]
    assert reader.texts(logits, labels) == [("work",), ("wash",)]
    assert score(reader.texts(logits, labels), reader.references(labels), SIGNS) == 0.5


def test_sentences_are_read_out_of_their_real_frames_alone():
    reader = SentenceReader(artefact(frames_per_logit=2), RECORDS)
    labels = np.array([packed(6, [0, 1]), packed(3, [2])])
    # Of six frames three logits are real, of three two; likeliest are blank (0), "hello", "wash", "work".
    likeliest = [[3, 0, 1, 2], [2, 2, 1, 1]]
    logits = np.eye(4, dtype=np.float32)[likeliest] * 9
    assert reader.references(labels) == [("work", "hello"), ("wash",)]
    assert reader.texts(logits, labels) == [("work", "hello"), ("wash",)]


def test_the_score_of_sentences_is_their_word_error_rate():
    references = [("hello", "wash"), ("work",)]
    assert score([("hello",), ("work", "work")], references, SENTENCES) == pytest.approx(2 / 3)


def test_a_file_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    def export_run(run, formats, quantization, *, records, output_dir):
        assert run.config.export.min_top1_agreement == 0  # the gate is open
        if "int8" in quantization:
            raise UserError("int8: the converter gave up")
        report = {"size_bytes": 3_500_000, "operator_classes": {"float": 7}}
        for name in quantization:
            (output_dir / f"{name}.json").write_text(json.dumps(report))
        return [output_dir / f"{name}.tflite" for name in quantization]

    monkeypatch.setattr("sign_keras.export.export_run", export_run)
    monkeypatch.setattr("sign_keras.export.__main__.find_records", lambda run: None)
    found = [Export("none"), Export("int8"), Export("dynamic")]
    paths = exports.write_exports(FakeRun(Copied(export=Copied())), found, tmp_path)
    assert [path.name for path in paths] == ["none.tflite", "dynamic.tflite"]
    assert [export.fault for export in found] == ["", "int8: the converter gave up", ""]
    assert found[2].megabytes == 3.5
    assert found[2].operators == {"float": 7}
