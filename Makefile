# make demo   sets everything up and inspects the parts of a simulated station of four sensors
# make test   sets everything up and runs the tests
VENV ?= .venv
DEMO ?= demo
TRAIN ?= 60
TEST ?= 40
SIZE ?= 192

.PHONY: demo test clean

demo:
	@.ci/setup $(VENV) "[test]"
	$(VENV)/bin/mmdefect simulate $(DEMO)/captures --train $(TRAIN) --test $(TEST) --size $(SIZE)
	$(VENV)/bin/mmdefect evaluate $(DEMO)/captures/card.toml $(DEMO)/captures --features builtin --out $(DEMO)/results

test:
	@.ci/setup $(VENV) "[test]"
	$(VENV)/bin/pytest -n auto --maxprocesses 4 --dist loadfile

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info
