# make demo   sets everything up and inspects the parts of a simulated station of four sensors
# make test   sets everything up and runs the tests
# make bench  sets rivals up beside it, measures every hot path and writes docs/performance.md
VENV ?= .venv
BENCH_VENV ?= .venv-bench
BENCH ?=
DEMO ?= demo
TRAIN ?= 60
TEST ?= 40
SIZE ?= 192

.PHONY: bench clean demo test

demo:
	@.ci/setup $(VENV) "[test]"
	$(VENV)/bin/mmdefect simulate $(DEMO)/captures --train $(TRAIN) --test $(TEST) --size $(SIZE)
	$(VENV)/bin/mmdefect evaluate $(DEMO)/captures/card.toml $(DEMO)/captures --features builtin --out $(DEMO)/results

test:
	@.ci/setup $(VENV) "[test]"
	@# the tests start many processes, each of which would compile every module anew
	env -u PYTHONDONTWRITEBYTECODE $(VENV)/bin/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

bench:
	@.ci/setup $(BENCH_VENV) "[bench]"
	$(BENCH_VENV)/bin/python benchmarks/bench.py $(BENCH)

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(DEMO) build *.egg-info
