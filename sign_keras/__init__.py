"""From TFRecords to recognisers: data, models, training, evaluation, export, inference.

``docs/architecture.md`` draws the flow; ``python -m sign_keras.train --help`` is where to start.
"""
