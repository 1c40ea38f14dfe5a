# Everything a contributor runs. `make` alone tells what there is.

# Tests wait for servers more than they compute, but each may hold a pool of connections, and PostgreSQL allows 100.
export RUST_TEST_THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); if [ $$n -lt 2 ]; then echo 2; elif [ $$n -gt 8 ]; then echo 8; else echo $$n; fi)

.DEFAULT_GOAL := help
.PHONY: help check format test sim fuzz screenshots demo loadtest

help:
	@echo 'make demo       imports a roster, sends two campaigns over all channels, cancels one; needs no server;'
	@echo '                ARGS="--json FILE" writes the figures, ARGS="--serve" keeps the page open'
	@echo 'make test       all tests, on real PostgreSQL, RabbitMQ, Chromium, Exim, LibreOffice and Schemathesis; finds or starts them (scripts/services)'
	@echo 'make sim        random operations and faults against every promise: SEEDS=n of them, FROM=m on, or just SEED=n'
	@echo 'make fuzz       changed captures against every parser of outside bytes, TIME=60 seconds each; TARGET=one of them'
	@echo 'make check      formatting, lints, dependencies (licences, sources, advisories, unused ones), links of pages, the chart,'
	@echo '                its alerts, the Dockerfile and the compose files'
	@echo 'make loadtest   the load test; ARGS="…" are its arguments'
	@echo 'make screenshots   pictures of the pages, desktop and phone, light and dark, in target/screenshots'
	@echo 'make format     formats the code'

check:
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	scripts/deny
	scripts/unused-deps
	scripts/docs-links
	scripts/chart check

format:
	cargo fmt --all

# The embedded store has one session, so the store's tests run on a pool of one too, but for those that open
# sessions of their own.
test:
	scripts/services run --browser --mta --papers --schemathesis -- cargo test --locked --workspace --no-fail-fast
	TOCSIN_TEST_POOL=1 scripts/services run -- cargo test --locked --workspace --test store -- \
	    --skip leases:: --skip plans:: --skip races:: --skip security::
	scripts/chart image "$${CARGO_TARGET_DIR:-target}/debug/tocsin"

sim:
	scripts/services run -- cargo run --locked --quiet --profile demo -p simulation -- \
	    $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100) --from $(or $(FROM),1)) $(ARGS)

fuzz:
	cargo run --locked --quiet --profile demo -p fuzz -- --seconds $(or $(TIME),60) $(if $(TARGET),--target $(TARGET)) $(ARGS)

screenshots:
	TOCSIN_TEST_SCREENSHOTS=$(CURDIR)/target/screenshots scripts/services run --browser -- cargo test --locked -p tocsin --test system -- page::

demo:
	@echo 'The first build takes 8 to 15 minutes on two cores (some 550 crates, a whole PostgreSQL among them);'
	@echo 'cargo shows how far it is. Later ones take seconds.'
	cargo run --locked --profile demo -p tocsin -- demo $(ARGS)

loadtest:
	@echo 'The first build takes 5 to 10 minutes on two cores; later ones take seconds.'
	scripts/services run -- cargo run --locked --quiet --profile demo -p loadtest -- $(ARGS)
