# Everything from a bare machine: Python 3.11 or 3.12, make, and libGL.
#   make quickstart   environment, then the main job: render, convert, train, evaluate, export, predict
#   make test         environment, then the default tests
#   make check        what CI checks beside tests: style, types, import contract
#   make test-slow    the tests that take minutes
#   make test-torch   the tests against torchvision, in an environment of their own with PyTorch
#   make test-browser the web page in Debian's Chromium, whose camera is a rendered signer
#   make benchmarks   every benchmark in a quick form: docs/benchmarks.md, and what got worse since the last time
#   make test-beam    the tests of convert --runner beam, in an environment of their own with Apache Beam

VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3,$(if $(shell $(name) -c pass 2>/dev/null && echo runs),$(name))))
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: help quickstart environment test test-slow test-beam test-browser test-torch benchmarks check format clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

environment: $(STAMP)

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { \
	  echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libGL.so.1")' 2>/dev/null || { \
	  echo "error: libGL.so.1 is missing, which OpenCV needs; on Debian or Ubuntu: apt-get install libgl1"; exit 2; }
	@start=$$(date +%s); echo "making the environment in $(VENV)"; \
	if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(RUN) --constraints constraints.txt --editable '.[dev]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'; \
	fi && touch $@ && echo "environment: $$(( $$(date +%s) - start )) s"

quickstart: environment
	@start=$$(date +%s); set -e; \
	$(RUN) -m sign_keras.train --config configs/cnn_lstm.yaml; \
	$(RUN) -m tfrecords_tools.synthesize --output data/never_seen --signers 1 --first-signer 900 \
	  --clips-per-gloss 1 --num-glosses 1 --seed 2026; \
	echo "a clip that is in no split, signing \"hello\":"; \
	$(RUN) -m sign_keras.predict --model tflite/cnn_lstm.tflite data/never_seen/clips; \
	echo "quickstart: $$(( $$(date +%s) - start )) s after the environment; open runs/cnn_lstm/report.html"

# Each worker needs 2 GiB and about one core.
TEST_WORKERS ?= 2

test: environment
	$(RUN) -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile

test-slow: environment
	$(RUN) -m pytest -m slow

test-beam: $(VENV)-beam/.installed
	$(VENV)-beam/bin/python -m pytest -m "slow or not slow" tests/tfrecords_tools/test_beam_runner.py

# Apart, since Apache Beam brings sixty packages that nothing else needs.
$(VENV)-beam/.installed: setup.cfg pyproject.toml constraints.txt
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)-beam && \
	  uv pip install --quiet --python $(VENV)-beam/bin/python --constraints constraints.txt --editable '.[dev,beam]'; \
	else \
	  $(PYTHON) -m venv $(VENV)-beam && \
	  $(VENV)-beam/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,beam]'; \
	fi && touch $@

test-browser: environment
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	  else \
	    echo "error: no chromium here; on Debian: sudo apt-get install chromium"; exit 2; \
	  fi; }
	@if command -v uv >/dev/null; then \
	  uv pip install --quiet --python $(RUN) --constraints constraints.txt --editable '.[browser]'; \
	else \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[browser]'; \
	fi
	$(RUN) -m pytest -m slow tests/sign_keras/serving/test_browser.py

test-torch: $(VENV)-torch/.installed
	$(VENV)-torch/bin/python -m pytest -m "slow or not slow" tests/sign_keras/models/test_torchvision_parity.py \
	  tests/sign_keras/test_torch_checkpoint.py

# Apart, and with pip: it finds PyTorch's builds for CPUs where it is told of them (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL).
$(VENV)-torch/.installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV)-torch && \
	$(VENV)-torch/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[dev,torch]' && touch $@

benchmarks: environment
	$(RUN) benchmarks/run_all.py

check: environment
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: environment
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(VENV) $(VENV)-beam $(VENV)-torch build *.egg-info
