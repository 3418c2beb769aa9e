import json
from dataclasses import dataclass
from types import SimpleNamespace

import exports
import pytest
from exports import Export, score

from tfrecords_tools.command_line import UserError


class Copied(SimpleNamespace):
    def model_copy(self, update: dict) -> "Copied":
        return Copied(**vars(self) | update)


@dataclass
class FakeRun:
    config: Copied


def test_the_score_of_sentences_is_their_word_error_rate():
    references = [("hello", "wash"), ("work",)]
    assert score([("hello",), ("work", "work")], references, "continuous") == pytest.approx(2 / 3)
    with pytest.raises(UserError, match="no clip holds a gloss"):
        score([("hello",)], [()], "continuous")


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
