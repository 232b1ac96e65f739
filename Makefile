# Everything runs in .venv inside the checkout. `make demo` and `make test` do all the set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

# Processes that share the test files.
WORKERS ?= 2

.PHONY: demo test test-all test-cuda test-devices test-cluster test-browser lint docs setup system bench gpu-report clean help

help:
	@echo "make demo    set up, restyle a clip that ships, say how fast it goes, write demo/"
	@echo "make test    set up, lint, check types and imports, run the tests but for the slow ones"
	@echo "make test-all  the same with every test, as CI does"
	@echo "make test-cuda  test on an NVIDIA GPU; fails without one"
	@echo "make test-devices  test on a virtual display, on servers of others and on real camera drivers"
	@echo "make docs    set up, build the documentation as a site in build/site/; a broken link fails"
	@echo "make test-cluster  test on a Ray cluster of this machine's own"
	@echo "make test-browser  test the studio's pages in a real Chromium"
	@echo "make bench   set up, measure speed and memory on this machine"
	@echo "make gpu-report  all that an NVIDIA GPU can tell, in ten minutes, without a network"
	@echo "make system  install the system libraries of apt.txt (Debian, Ubuntu)"
	@echo "make clean   remove everything that the others made"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt apt.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,dev]'
	$(BIN)/python -c 'import cv2' 2>/dev/null || $(MAKE) system
	touch $@

# OpenCV's wheel needs libraries that a minimal system image lacks.
system:
	$(AS_ROOT) apt-get update -qq
	$(AS_ROOT) apt-get install -qq --yes --no-install-recommends $(shell cat apt.txt)

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py
	$(BIN)/python examples/speed.py examples/clips/bunny.mp4 demo bundled 256 384

bench: $(INSTALLED)
	$(BIN)/python benchmarks/throughput.py

# With the Python that is there: a machine with a GPU and no network cannot set one up.
gpu-report:
	$(PYTHON) benchmarks/gpu_report.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# The pages of docs/ as a site. Strict: a broken link, a missing page or a wrong formula fails.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,dev,docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean --strict
	@echo "Read build/site/index.html"

test: lint
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile -m 'not slow'

test-all: lint
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

test-cuda: $(INSTALLED)
	ALLAPRIMA_REQUIRE_CUDA=1 $(BIN)/pytest -m cuda

# A display of its own with real key presses; a PipeWire of its own; servers of others; a recording
# that is killed; in a virtual machine, real camera drivers. Debian.
test-devices: $(INSTALLED)
	$(AS_ROOT) apt-get update -qq
	$(AS_ROOT) apt-get install -qq --yes --no-install-recommends xvfb xdotool \
		pipewire pipewire-bin wireplumber dbus gstreamer1.0-tools gstreamer1.0-plugins-base \
		gstreamer1.0-pipewire gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
		gir1.2-gst-rtsp-server-1.0 python3-gi jackd2 avahi-daemon dbus iproute2
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,dev,midi,ndi]'
	sh tests/devices/with_nginx.sh $(BIN)/pytest tests/stream/sinks/test_window.py tests/stream/sinks/test_sink_network.py \
		tests/stream/live/test_inputs.py tests/stream/live/test_live_ends.py tests/stream/sinks/test_pipewire.py \
		tests/stream/sinks/test_real_servers.py tests/stream/live/test_midi.py
	$(AS_ROOT) $(abspath $(BIN))/pytest tests/stream/sources/test_other_programs.py
	$(AS_ROOT) sh tests/devices/virtual_machine.sh $(abspath $(BIN))/python

# On a Ray cluster of this machine's own, in a network of its own. Linux.
test-cluster: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster,cpu,dev]'
	$(BIN)/pytest tests/cluster

# Debian's Chromium, driven by Playwright; TypeScript only reads the pages' types.
test-browser: $(INSTALLED)
	$(AS_ROOT) apt-get update -qq
	$(AS_ROOT) apt-get install -qq --yes --no-install-recommends chromium nodejs npm
	$(BIN)/python -m pip install --quiet --constraint constraints.txt playwright
	npm install --silent --no-save --prefix build/types typescript@5
	build/types/node_modules/.bin/tsc -p stream/studio/pages/jsconfig.json
	ALLAPRIMA_REQUIRE_BROWSER=1 $(BIN)/pytest -m browser tests/browser

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
