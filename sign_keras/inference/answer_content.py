"""Answers as plain values, the same wherever they go as JSON."""

from typing import Any

from sign_keras.inference.predictor import Answer, Prediction, SentencePrediction


def answer_content(answer: Answer) -> dict[str, Any]:
    """What ``predict --json`` and the server say of a video, but for where it is.

    Of one sign: ``predictions`` (``gloss``, ``probability``), best first, and ``accepted``. Of a sentence:
    ``predicted_text``, ``predicted_glosses`` (``gloss``, ``start_seconds``, ``end_seconds``, ``confidence``),
    ``confidence``, ``cut``, and what the model's stages say of single frames, where it has them.
    """
    if isinstance(answer, Prediction):
        scores = [{"gloss": item.gloss, "probability": round(item.probability, 6)} for item in answer.glosses]
        return {"predictions": scores, "accepted": answer.accepted}
    return {
        "predicted_text": answer.text,
        "predicted_glosses": [
            {
                "gloss": item.gloss,
                "start_seconds": round(item.start_seconds, 3),
                "end_seconds": round(item.end_seconds, 3),
                "confidence": round(item.confidence, 6),
            }
            for item in answer.glosses
        ],
        "confidence": None if answer.confidence is None else round(answer.confidence, 6),
        "cut": answer.cut,
        **_stages(answer),
    }


def _stages(answer: SentencePrediction) -> dict[str, object]:
    """What the model's stages say of single frames, where it has them, and when these frames are."""
    found: dict[str, object] = {}
    if answer.keyframe_indices is not None:
        found["keyframe_indices"] = list(answer.keyframe_indices)
    if answer.frame_scores is not None:
        found["frame_scores"] = [round(score, 6) for score in answer.frame_scores]
    if answer.attention_weights is not None:
        found["attention_weights"] = [[round(share, 6) for share in row] for row in answer.attention_weights]
    if found:
        found["frame_seconds"] = [round(seconds, 3) for seconds in answer.frame_seconds]
    return found
