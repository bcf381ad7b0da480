# Needs nothing but GNU make and a Python of 3.11 or later. Each target sets up what it uses in
# .venv; a stamp per dependency group makes the second run fast, and a change to what is declared
# in setup.cfg or pyproject.toml makes it install again.
#
#   make test ARGS="-k lease -x"            arguments for pytest
#   make test PYTHON=python3.12 VENV=.venv-3.12

VENV = .venv
ARGS =
# So many files of tests at once: most of them wait for a server. 0 for none beside another, which
# --pdb needs.
JOBS = 2
# What `make versions` runs on: a Python, or a Python and the oldest Flask that is supported.
VERSIONS = 3.11 3.12 3.13 3.14
OLDEST = 3.11-flask-3.0
# What an older Flask can't make any different: how values are written, and documents read.
NOT_FLASK = --ignore-glob='*/test_json_[ceprsv]*'

BIN = $(VENV)/bin
STAMPS = $(VENV)/stamps
DECLARED = setup.cfg pyproject.toml
# What is compiled where there is a compiler, into the tree, by Python's version and platform.
COMPILED = setup.py $(wildcard flask_concurrency_guard/json/*.c)
# Twice: errors only, no notes on how this machine's pip is configured. Not compiled: most of what
# is installed is never imported, and what is compiles itself then.
QUIETLY = install --quiet --quiet --no-compile
INSTALL = $(BIN)/python -m pip $(QUIETLY)
# Into the environment of another Python, which then needs no pip of its own.
INSTALL_FOR = $(BIN)/python -m pip --python

export PIP_DISABLE_PIP_VERSION_CHECK = 1

# What has once been compiled is kept, whatever this shell's habit, since else each of the hundreds
# of interpreters that the tests start would compile all of Flask and of the package anew. Not in
# the tree, which stays as it is; `package` has a tree of its own.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX = $(abspath $(VENV))/bytecode

# Leaves in $$python the first candidate that really runs, has what makes a venv, and is 3.11 or
# later (or the one version asked for). A pyenv shim is on PATH for versions that aren't selected,
# too, and fails only when it is run, so the versions behind the shims are candidates of their own.
define FIND_PYTHON
find_python() { \
    wanted=$$1; shift; python=; \
    for candidate; do \
        if "$$candidate" -c "$(PROBE)" $$wanted >/dev/null 2>&1 </dev/null; then \
            python=$$candidate; return; \
        fi; \
    done; \
}
endef
PROBE = import ensurepip, sys, venv; found = '%d.%d' % sys.version_info[:2]; \
    sys.exit(sys.version_info < (3, 11) or found not in (sys.argv[1:] or [found]))
PYENV = "$${PYENV_ROOT:-$$HOME/.pyenv}/versions"

# A .venv that came along in a copied or moved folder still points at the old one, and would test
# that one's code; one whose Python was removed can't run at all. Both start again.
ifneq ($(wildcard $(STAMPS)/base),)
$(shell test "`cat $(STAMPS)/base`" = "$(CURDIR)" && $(BIN)/python -c "" 2>/dev/null || rm -rf $(VENV))
endif
ifdef PYTHON
ifneq ($(wildcard $(STAMPS)/base),)
ifneq ($(MAKECMDGOALS),clean)
SHOW = import sys; print(sys.version, sys.base_prefix)
ifneq ($(shell $(PYTHON) -c "$(SHOW)"),$(shell $(BIN)/python -c "$(SHOW)"))
$(error '$(VENV)' was made by another Python than '$(PYTHON)'. Run 'make clean' first, or name another folder with VENV=)
endif
endif
endif
endif

# Two targets at once would install into one .venv at once.
.NOTPARALLEL:
.PHONY: help demo test coverage lint types docs settings pictures bench bench-overload conformance package versions clean

help: ## this list (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: $(STAMPS)/package $(STAMPS)/group-demo ## a real server under load, without and with the guard
	@$(BIN)/python examples/demo.py $(ARGS)

test: $(STAMPS)/package $(STAMPS)/group-tests ## all tests, real servers included
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

coverage: $(STAMPS)/package $(STAMPS)/group-tests $(STAMPS)/group-coverage ## all tests, and which lines they reach
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

lint: $(STAMPS)/group-lint ## ruff: rules and format
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .

types: $(STAMPS)/package $(STAMPS)/group-types ## mypy, strict, as the oldest and newest Python
	@for version in $(firstword $(VERSIONS)) $(lastword $(VERSIONS)); do \
	    echo "-- mypy as Python $$version"; \
	    $(BIN)/python -m mypy --python-version $$version \
	        flask_concurrency_guard $(wildcard tests/typing) || exit 1; \
	done

docs: $(STAMPS)/package $(STAMPS)/group-docs ## the documentation, warnings are errors
	@echo "-- building the documentation"
	@$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs docs/_build/html
	@echo "-- docs/_build/html/index.html"

settings: $(STAMPS)/package ## the tables of settings in README and docs, from the settings themselves
	@$(BIN)/python docs/settings_tables.py

bench: $(STAMPS)/package $(STAMPS)/group-bench ## what the guard costs
	@$(BIN)/python benchmarks/overhead.py $(ARGS)

bench-overload: $(STAMPS)/package $(STAMPS)/group-bench ## what is left when more arrives than can be served
	@$(BIN)/python benchmarks/overload $(ARGS)

conformance: $(STAMPS)/package ## Flask's own test suite, plain and guarded
	@$(BIN)/python tests/conformance/run.py $(ARGS)

# The tests come out of the sdist, less the package, so they can only see the installed wheel, and
# whatever they read must be in the sdist. The real servers run, too: it is their child processes
# that would notice a wheel without some file.
package: $(STAMPS)/group-package ## sdist and wheel, and the tests against the installed wheel
	@echo "-- building sdist and wheel"
	@# A left-over build/ would put deleted modules into the wheel, and the list of files in a
	@# left-over .egg-info would put into the sdist what MANIFEST.in no longer names.
	@rm -rf build dist *.egg-info
	@mkdir dist
	@$(BIN)/python -m build --outdir dist . >dist/build.log 2>&1 || { cat dist/build.log; exit 1; }
	@rm dist/build.log
	@$(BIN)/python -m twine --no-color check --strict dist/*
	@set -e; scratch=`mktemp -d`; trap 'rm -rf "$$scratch"' EXIT; trap 'exit 1' INT TERM; \
	unset PYTHONPATH PYTHONPYCACHEPREFIX; \
	echo "-- installing the wheel into a clean environment"; \
	$(BIN)/python -m venv --without-pip "$$scratch/venv"; python="$$scratch/venv/bin/python"; \
	$(INSTALL_FOR) "$$python" $(QUIETLY) dist/*.whl --group tests; \
	mkdir "$$scratch/project"; tar -xzf dist/*.tar.gz -C "$$scratch/project" --strip-components 1; \
	git ls-files 2>/dev/null | while read -r file; do \
	    [ ! -e "$$file" ] || [ -e "$$scratch/project/$$file" ] || echo "$$file"; \
	done >"$$scratch/missing"; \
	if [ -s "$$scratch/missing" ]; then \
	    echo "MANIFEST.in leaves these out of the sdist:"; cat "$$scratch/missing"; exit 1; \
	fi; \
	cd "$$scratch/project"; rm -rf flask_concurrency_guard *.egg-info; \
	"$$python" -P -c "import flask_concurrency_guard as it, sys; \
	    sys.exit(0 if it.__file__.startswith(sys.prefix) else 'not the wheel: ' + it.__file__)"; \
	"$$python" -P -m pytest $(ARGS)

pictures: $(STAMPS)/package $(STAMPS)/group-tests ## of what the commands print, for the pages
	@$(BIN)/python docs/take_pictures.py

# Not the real servers: they take long and depend on the servers' versions more than on these. Two
# at a time, since they hardly wait for anything but the processor; they are set up one by one.
versions: versions-ready ## the quick tests on each Python, and on the oldest Flask
	@printf '%s\n' $(VERSIONS) $(OLDEST) | xargs -P 2 -I{} sh -c \
	    'shown=`$(MAKE) --no-print-directory version-{} 2>&1`; failed=$$?; echo "$$shown"; exit $$failed'

.PHONY: ready versions-ready $(VERSIONS:%=version-%) version-$(OLDEST)
ready: $(STAMPS)/package $(STAMPS)/group-tests $(STAMPS)/group-package versions-ready
versions-ready: $(VERSIONS:%=$(VENV)/versions/%/stamp) $(VENV)/versions/$(OLDEST)/stamp

$(VERSIONS:%=version-%) version-$(OLDEST): version-%: $(VENV)/versions/%/stamp
	@if [ -e $< ]; then \
	    echo "-- testing on $*"; \
	    $(VENV)/versions/$*/bin/python -m pytest -q -m "not servers and not thorough" \
	        $(if $(filter $(OLDEST),$*),$(NOT_FLASK)); \
	else \
	    echo "-- skipped $*: no such Python was found here"; \
	fi

$(VENV)/versions/%/stamp: $(DECLARED) $(COMPILED) | $(STAMPS)/base
	@$(FIND_PYTHON); version=$(firstword $(subst -, ,$*)); \
	find_python $$version python$$version python3 $(PYENV)/$$version*/bin/python; \
	if [ -n "$$python" ]; then \
	    echo "-- setting up $*"; \
	    "$$python" -m venv --clear --without-pip $(@D) && \
	    $(INSTALL_FOR) $(@D)/bin/python $(QUIETLY) -e . --group tests \
	        $(if $(filter $(OLDEST),$*),'flask==3.0.*' 'werkzeug==3.0.*') && \
	    touch $@; \
	fi

clean: ## remove all that was made here
	@rm -rf $(VENV) build dist docs/_build *.egg-info .coverage .coverage.* htmlcov \
	    .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -f flask_concurrency_guard/json/*.so flask_concurrency_guard/json/*.pyd

# A folder of stamps without this one is what an interrupted attempt has left, maybe half a pip.
$(STAMPS)/base:
	@$(FIND_PYTHON); \
	find_python "" $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python $(PYENV)/3.1[1-9]*/bin/python); \
	if [ -z "$$python" ]; then \
	    echo "No Python 3.11 or later with its 'venv' module was found$(PYTHON:%= as '%')." >&2; \
	    echo "Install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	echo "-- making $(VENV) with `"$$python" --version`"; \
	if [ -d $(STAMPS) ]; then rm -rf $(VENV); fi; \
	mkdir -p $(STAMPS); \
	"$$python" -m venv $(VENV)
	@# --group needs pip 25.1, newer than the one that comes with Python 3.11 to 3.13.
	@$(INSTALL) --upgrade pip
	@echo "$(CURDIR)" >$@

$(STAMPS)/package: $(STAMPS)/base $(DECLARED) $(COMPILED)
	@echo "-- installing the package"
	@$(INSTALL) -e .
	@touch $@

$(STAMPS)/group-%: $(STAMPS)/base pyproject.toml
	@echo "-- installing what '$*' needs"
	@$(INSTALL) --group $*
	@touch $@
